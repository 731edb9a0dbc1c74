"""What this machine has, what a model needs, and what goes where; knows nothing of torch."""
