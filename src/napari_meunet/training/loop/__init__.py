"""The training loop: steps, their state, and what they are measured by."""
