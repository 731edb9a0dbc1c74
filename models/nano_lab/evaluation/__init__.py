"""The scores of nano: its own suite and the calibration of its confidence."""
