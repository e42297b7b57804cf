"""Comparing two faces."""
