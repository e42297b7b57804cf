"""The classifiers: networks, checkpoints and inference."""
