"""What was done to the labels, in order, so that it can be undone and restored."""
