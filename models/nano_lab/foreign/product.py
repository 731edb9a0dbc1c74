"""dvl2 as a user runs it, in this process, so that its imports are paid once."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock


@dataclass(frozen=True, slots=True)
class Ran:
    """The JSON lines that a command wrote, and the CPU seconds it took on all threads."""

    lines: tuple[Mapping[str, Any], ...]
    cpu_seconds: float


def run(*arguments: str) -> Ran:
    """Run ``dvl2 ARGUMENTS --json``; what it says on stderr is dropped, as every line has it."""
    from dvl2_cli.app import main

    # The command line writes bytes, as to a pipe.
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    start = time.process_time()
    argv = ["dvl2", *arguments, "--json", "--quiet", "--device", "cpu"]
    with (
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.suppress(SystemExit),
    ):
        main()
    written = out.buffer
    assert isinstance(written, io.BytesIO)  # noqa: S101 - made above
    return Ran(tuple(_objects(written.getvalue().decode())), time.process_time() - start)


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
