"""Networks and checkpoints, nothing else."""
