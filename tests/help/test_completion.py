"""What the shells are offered, through the protocol that their scripts speak."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.tiny_checkpoint import write_checkpoint

PROGRAM = "import sys; sys.argv[0] = 'dvl2'; from dvl2_cli.app import main; main()"


def dvl2(*words: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.stderr == ""
    return done.stdout


def offered(line: str) -> list[str]:
    """What bash would show for ``line``; a blank at its end begins a new word."""
    count = len(line.split()) - (not line.endswith(" "))
    out = dvl2(_DVL2_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(count))
    return out.split()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("dvl2 q", ["quantize"]),
        ("dvl2 ocr --fi", ["--fields"]),
        ("dvl2 ground a.png --crop", ["--crop-dir"]),
        ("dvl2 config set qu", ["quant"]),
        ("dvl2 config set markdown ", ["true", "false"]),
        ("dvl2 config set quant int", ["int8", "int4"]),
        ("dvl2 chat a.png --preset ta", ["table"]),
        ("dvl2 ocr a.png -f h", ["html", "hocr"]),
        ("dvl2 ground a.png -f c", ["coco", "csv"]),
        ("dvl2 caption a.png --quant nf", ["nf4"]),
        ("dvl2 pull ", ["tiny", "small", "base"]),
        ("dvl2 help mem", ["memory"]),
        ("dvl2 bench --shape t", ["tiny"]),
        ("dvl2 history ", ["list", "show", "search", "delete"]),
    ],
)
def test_words(line: str, wanted: list[str]) -> None:
    assert offered(line) == wanted


def test_models_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvl2_cli.store.records import Record, StoredFile, write_record

    monkeypatch.setenv("DVL2_MODELS", str(tmp_path))
    files = (StoredFile("config.json", 3, "0" * 64),)
    record = Record("deepseek-ai/deepseek-vl2-tiny", "c" * 40, "main", None, 1.0, files)
    write_checkpoint(record.original)
    write_record(record)
    assert offered("dvl2 ocr -m ") == ["tiny", "nano"]
    assert offered("dvl2 show t") == ["tiny"]
    assert offered("dvl2 rm ") == ["tiny"]


def test_nothing_is_said_when_something_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("quant = [", encoding="utf-8")
    monkeypatch.setenv("DVL2_CONFIG", str(settings))
    assert offered("dvl2 ocr -m ") == ["nano"]


def test_zsh_and_fish_show_what_words_mean() -> None:
    out = dvl2(_DVL2_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="dvl2 config set offl")
    assert '"offline":"Never touch the network."' in out
    out = dvl2(
        _DVL2_COMPLETE="complete_fish",
        _TYPER_COMPLETE_ARGS="dvl2 help ex",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert out.split("\t")[0] == "exit-codes"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(shell: str) -> None:
    assert f"_DVL2_COMPLETE=complete_{shell}" in dvl2(_DVL2_COMPLETE=f"source_{shell}")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_and_installed_for_the_shell_at_hand(
    shell: str, user_folders: Path
) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    program = f'{sys.executable} -c "{PROGRAM}"'
    # More than one command: a shell that has only one becomes it and is no parent any more.
    script = f"{program} --show-completion; {program} --install-completion; true"
    done = subprocess.run(
        [found, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert f"_DVL2_COMPLETE=complete_{shell}" in done.stdout, done.stderr
    written = [path for path in user_folders.rglob("*") if path.is_file()]
    texts = [path.read_text(encoding="utf-8") for path in written]
    assert any(f"_DVL2_COMPLETE=complete_{shell}" in text for text in texts)


def test_zsh_completes_at_the_first_tab(tmp_path: Path) -> None:
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("zsh is not installed")
    (tmp_path / "_dvl2").write_text(dvl2(_DVL2_COMPLETE="source_zsh"), encoding="utf-8")
    answers = tmp_path / "dvl2"
    answers.write_text("#!/bin/sh\necho reply=answered\n", encoding="utf-8")
    answers.chmod(0o755)
    # As zsh calls it at a Tab after "dvl2 o".
    script = (
        f"path=({tmp_path} $path); fpath=({tmp_path}); autoload -Uz _dvl2; "
        "words=(dvl2 o); CURRENT=2; _dvl2; print $reply"
    )
    done = subprocess.run(
        [zsh, "-fc", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("answered\n", "")


def test_only_the_program_itself_installs_completion() -> None:
    from dvl2_cli.app import COMMANDS, load_command

    for name, (module, _, _) in COMMANDS.items():
        options = {option for item in load_command(name, module).params for option in item.opts}
        assert "--install-completion" not in options, name
