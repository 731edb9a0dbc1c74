"""Renders the pictures, questions and answers that nano learns from and is measured on."""

# Raised whenever the same kind, seed and split would give another sample.
VERSION = 6
