"""Labels as files that other programs read, and as pictures."""
