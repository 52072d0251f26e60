"""Training: runs, curves, evaluation, what changed, checkpoints."""
