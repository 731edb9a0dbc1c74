"""What dvl2 does with pictures: ask, read, ground and caption, over any engine."""
