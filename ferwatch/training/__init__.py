"""Training the classifiers."""
