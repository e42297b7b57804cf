"""Draws pictures that explain a classifier's forward pass: `ferwatch look-inside`."""
