"""Pages that were read once, and those of them that a question is about."""
