"""Engines that answer elsewhere: a warm process on this machine, or a server."""
