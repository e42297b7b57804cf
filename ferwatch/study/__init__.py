"""Studies: many recordings with participants and conditions, agreement with human coders, and highlights."""
