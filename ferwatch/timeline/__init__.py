"""Turns rows into a timeline: the table of a run, smoothing and episodes."""
