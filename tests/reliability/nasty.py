"""Text that would take over a terminal, and what must never be seen of it on one."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.commands.fake_process import Process
from tests.terminal import Terminal

# Colour, title, C1, BiDi, carriage return, backspace, a hyperlink, the answerback of a terminal.
NASTY = (
    "\x1b[5;37mA\x1b]0;PWNED\x07B\x9b5;37mC\u202eD\u2066E\rPWNEDF\x08G\x7fH\u061cI\u200fJ"
    "\x1b]8;;http://x\x1b\\K\x05L\x1bcM\x85N\u2028O[red]P[/nope]Q"
)
RAW = re.compile(
    rb"\x1b\[5;37m|\x1b\]|\x1bc|\x1b\\|\x07|\x05|\x08|\x7f|\rPWNED|\xc2[\x80-\x9f]|\xd8\x9c"
    rb"|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xaf]"
)
NAME = NASTY.replace("/", "") + os.fsdecode(b"\xff")


def shown(*arguments: str, folder: Path, code: int | None = None) -> bytes:
    """What a terminal gets from ``python ARGUMENTS`` in ``folder``; checked for raw controls."""
    environment = {
        **Process(folder, answer=NASTY, finish_reason="stop").environment,
        "TERM": "xterm-256color",
        "XDG_RUNTIME_DIR": str(folder / "run"),
    }
    environment.pop("NO_COLOR", None)
    with Terminal(*arguments, env=environment, columns=200, cwd=folder, seconds=60) as terminal:
        ended = terminal.end()
        raw = terminal.raw
    assert_clean(raw)
    assert code is None or ended == code, raw.decode(errors="replace")
    return raw


def assert_clean(raw: bytes) -> None:
    found = RAW.search(raw)
    assert not found, raw[max(found.start() - 80, 0) : found.end() + 20]
    assert b"Traceback" not in raw, raw.decode(errors="replace")
    assert b"Exception ignored" not in raw
