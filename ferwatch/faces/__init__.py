"""Finding, aligning and following faces."""
