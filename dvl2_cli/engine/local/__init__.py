"""The engine on this machine's torch; imported only when a model is to run here."""
