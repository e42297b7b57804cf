"""From a video to a run folder."""
