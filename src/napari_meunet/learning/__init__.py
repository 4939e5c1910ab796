"""Models that learn from corrections, and are kept if that made them better."""
