"""Many requests at once: who reads, who writes, who waits, and what is kept for the next."""
