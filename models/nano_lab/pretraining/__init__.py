"""Nano's pretraining: rendered batches, auxiliary heads and losses, on fine-tuning's loop."""
