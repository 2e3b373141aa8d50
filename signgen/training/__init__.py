"""Training: stages as values, one loop, checkpoints that survive."""
