"""Keeping a model warm for other processes: on a unix socket, or over HTTP on loopback."""
