"""The commands of ``python -m nano_lab``."""
