"""Chat sessions kept on this machine."""
