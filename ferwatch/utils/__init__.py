"""Helpers that know nothing of videos, faces or emotions."""
