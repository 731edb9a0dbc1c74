"""Measuring speed and memory: on a real copy, or on random weights of a released shape."""
