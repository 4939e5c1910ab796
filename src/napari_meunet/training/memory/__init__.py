"""The memory of a training step: what it takes, and how it is made to fit."""
