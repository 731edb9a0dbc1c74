"""The trainer: the paper's three stages, nano's pretraining, and fine-tuning on one's own data."""
