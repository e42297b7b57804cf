"""Analyses videos and writes run folders."""
