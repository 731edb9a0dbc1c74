"""dvl2 as the suite runs it."""

from __future__ import annotations

import sys

import pytest

from nano_lab.foreign import product


def test_what_the_command_writes_is_read_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        assert sys.argv[:3] == ["dvl2", "ocr", "a.png"]
        assert "--json" in sys.argv
        sys.stderr.write("dvl2: warning\n")
        sys.stdout.buffer.write('{"text": "Grüße"}\n{"text": "2"}\n'.encode())
        sys.exit(4)

    monkeypatch.setattr("dvl2_cli.app.main", main)
    ran = product.run("ocr", "a.png")
    assert [line["text"] for line in ran.lines] == ["Grüße", "2"]
    assert ran.cpu_seconds >= 0
