"""Converting released checkpoints to quantised local copies, one tensor at a time."""
