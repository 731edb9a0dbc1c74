"""Running out of memory, said in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from dvl2_cli.errors import OutOfMemoryError


@contextlib.contextmanager
def reported_out_of_memory() -> Iterator[None]:
    """Turn torch's and Python's memory errors into an ``OutOfMemoryError``."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _explained() from error
    except RuntimeError as error:
        # torch's CPU allocator raises a plain RuntimeError.
        if "not enough memory" in str(error):
            raise _explained() from error
        raise


def _explained() -> OutOfMemoryError:
    return OutOfMemoryError(
        "the machine ran out of memory",
        "Use a smaller quantisation (--quant int4), fewer tiles (--tiles 1) or a smaller model; "
        "--plan shows what a prompt takes.",
    )
