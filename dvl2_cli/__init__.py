"""dvl2: DeepSeek-VL2 on the command line."""

__version__ = "0.1.0"
