"""Drawing: faces on frames, the annotated video, and the style of explanatory figures."""
