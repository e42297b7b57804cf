"""Detects, aligns and tracks faces."""
