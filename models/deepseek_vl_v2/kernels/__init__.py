"""Compiled kernels for quantised and bfloat16 decoding on a CPU, with a torch fallback.

``products``, ``attention`` and ``feedforward`` in C++ run whole decoding steps on a team of
threads; ``kernels_*.cpp`` hold the inner loops for each instruction set. ``dense_attention``
attends with many queries at once: the tower's tiles, and prompts.
"""
