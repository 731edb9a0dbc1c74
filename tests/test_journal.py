from __future__ import annotations

from pathlib import Path

import pytest

from dvl2_cli.errors import OutputError
from dvl2_cli.journal import Journal


def test_answers_survive_a_run_that_was_not_completed(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "j"
    with Journal(path, "settings") as journal:
        journal.keep("a:0", {"text": "one"})
    with Journal(path, "settings") as journal:
        assert journal.resumed == 1
        assert journal.answer("a:0") == {"text": "one"}
        journal.complete()
    assert list(path.parent.iterdir()) == []


def test_other_settings_start_afresh(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", "settings") as journal:
        journal.keep("a:0", {"text": "one"})
    with Journal(tmp_path / "j", "others") as journal:
        assert journal.answer("a:0") is None
        journal.keep("b:0", {"text": "two"})
    with Journal(tmp_path / "j", "others") as journal:
        assert journal.resumed == 1


@pytest.mark.parametrize("lost", range(1, 60, 7))
def test_a_journal_cut_anywhere_keeps_its_whole_lines(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "j"
    with Journal(path, "settings") as journal:
        for index in range(3):
            journal.keep(f"{index}:0", {"text": "x" * 10})
    path.write_bytes(path.read_bytes()[:-lost])
    with Journal(path, "settings") as journal:
        kept = journal.resumed
        assert kept == 3 - -(-lost // 44)
        journal.keep("new:0", {"text": "y"})
    with Journal(path, "settings") as journal:
        assert journal.resumed == kept + 1


def test_a_sidecar_is_written_again_only_if_the_kill_came_before_the_rename(
    tmp_path: Path,
) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old\n", encoding="utf-8")
    with Journal(tmp_path / "j", "s") as journal:
        journal.about_to_write(target, "old\nnew\n", "a.png")
    with Journal(tmp_path / "j", "s") as journal:
        assert not journal.already_written(target, "a.png")
    target.write_text("old\nnew\n", encoding="utf-8")
    with Journal(tmp_path / "j", "s") as journal:
        assert journal.already_written(target, "a.png")


def test_two_runs_do_not_share_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", "s"), pytest.raises(OutputError, match="another run"):
        Journal(tmp_path / "j", "s").__enter__()
