"""What happens inside a network on the way from a face to an answer."""
