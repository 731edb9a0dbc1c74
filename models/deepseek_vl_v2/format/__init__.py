"""The checkpoint format of DeepSeek-VL2, in pure Python."""
