"""Measures classifiers on FER2013: data, metrics, plots."""
