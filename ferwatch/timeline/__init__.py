"""From rows to a timeline: the table of a run, smoothing and episodes."""
