"""Drawing: the annotated video and figures."""
