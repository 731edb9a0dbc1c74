"""Documents, scenes and questions that training never uses, and how nano does on them."""
