"""Which quantised copy to make after a pull, and how large it will be."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from dvl2_cli.errors import UsageError
from dvl2_cli.store.resolve import PLAIN

AUTO = "auto"

# Size of the copy as a share of the bfloat16 original, for the estimate before a download.
_SHARES = {PLAIN: 0.0, "int4": 0.32, "int8": 0.55, "nf4": 0.32}


def chosen_format(quant: str, has_cuda: Callable[[], bool]) -> str:
    """The copy that ``quant`` asks for; for "auto" the one that runs best on this machine.

    Raises:
        UsageError: not a format that dvl2 can make.
    """
    if quant == AUTO:
        return "nf4" if has_cuda() and importlib.util.find_spec("bitsandbytes") else "int4"
    if quant in _SHARES:
        return quant
    raise UsageError(f"--quant is {quant!r}", f"Give {AUTO} or one of {', '.join(_SHARES)}.")


def size_share(quant: str) -> float:
    """Estimated size of the copy, as a share of the original."""
    return _SHARES[quant]
