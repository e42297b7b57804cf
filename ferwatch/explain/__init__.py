"""Pictures that explain a classifier's forward pass."""
