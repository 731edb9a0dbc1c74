from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from dvl2_cli import packages
from dvl2_cli.app import main
from tests.test_layering import CLI, imports, part_of, sources, within

PACKAGES = {"starlette", "uvicorn", "sse_starlette", "prometheus_client", "pydantic"}


def test_only_the_http_server_imports_them() -> None:
    found = PACKAGES | {"dvl2_cli.server.http"}
    users = [
        path
        for path in sources(CLI)
        if any(within(name, found) for name, at_top in imports(path) if at_top)
    ]
    assert users
    assert [part_of(path) for path in users if not part_of(path).startswith("server/http/")] == []


def serve(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: object
) -> str:
    """What ``dvl2 serve ARGUMENTS`` says when it refuses."""
    monkeypatch.setattr(sys, "argv", ["dvl2", "serve", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    out, err = capfd.readouterr()
    assert out == ""
    return err


def test_without_them_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(packages, "_checkout", lambda: None)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name)
    )
    assert serve(monkeypatch, capfd, "--http", "8000").splitlines() == [
        "dvl2: --http needs uvicorn, which is not installed",
        "  Install what it needs: pip install 'dvl2[server]'",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--http", "8000", "--at", "x.sock"], "does not go with"),
        (["--allow-urls"], "without --http"),
        (["--http", "0.0.0.0:8000"], "lets other machines ask"),
        (["--http", "x"], "not [HOST:]PORT"),
        (["--http", "0", "--api-key-file", "none"], "cannot read the keys"),
        (["--http", "0", "--max-body", "much"], "not a size"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in serve(monkeypatch, capfd, *arguments)
