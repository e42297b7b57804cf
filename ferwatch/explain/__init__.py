"""Pictures of a forward pass."""
