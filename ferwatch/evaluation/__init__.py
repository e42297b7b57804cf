"""Measuring a classifier on FER2013."""
