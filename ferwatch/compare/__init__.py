"""Compares two faces: `ferwatch compare`."""
