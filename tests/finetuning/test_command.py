"""``dvl2 train`` from the command line: refusals come before any model is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dvl2_cli.commands.train import train
from dvl2_cli.errors import Dvl2Error, InputError, OutputError, UsageError
from tests.finetuning.conftest import TINY


def test_bad_rows_end_it_with_their_numbers(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = data.read_text("utf-8")
    data.write_text("{\n" + good + '{"images": ["gone.png"], "messages": []}\n', "utf-8")
    with pytest.raises(UsageError, match="2 of 4 rows"):
        train(data, out=tmp_path / "run", model=str(TINY), dtype="fp32")
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{data}, line 1: not JSON" in told.err
    assert f"{data}, line 4: " in told.err
    assert not (tmp_path / "run").exists()


def test_an_adapter_is_trained_merged_and_drawn(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    train(
        data, out=run, model=str(TINY), lora=2, steps=1, dtype="fp32", workers=0, quiet=True,
        merge=True,
    )  # fmt: skip
    assert capsys.readouterr().out == f"{run / 'merged'}\n"
    train(run, plot=True)
    drawn = capsys.readouterr().out.split()
    assert [Path(path).name for path in drawn] == [
        "loss.png", "right.png", "rates.png", "experts.png"
    ]  # fmt: skip
    train(run, merge=True)
    assert (run / "merged" / "model.safetensors").is_file()


def test_a_run_never_replaces_its_model_or_data(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(TINY, run / "model")
    said = {"out": run, "lora": 2, "steps": 1, "dtype": "fp32", "workers": 0, "quiet": True}
    with pytest.raises(OutputError, match=r"model is an input, .* would be replaced"):
        train(data, model=str(run / "model"), **said)  # type: ignore[arg-type]
    log, before = run / "log.jsonl", data.read_bytes()
    log.hardlink_to(data)
    with pytest.raises(OutputError, match=r"log\.jsonl is an input"):
        train(data, model=str(TINY), **said)  # type: ignore[arg-type]
    assert log.read_bytes() == before
    assert {path.name for path in run.iterdir()} == {"log.jsonl", "model"}


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        ({}, UsageError, "-o FOLDER"),
        ({"out": Path("x"), "dtype": "fp8"}, UsageError, "bf16, fp32"),
        ({"out": Path("x"), "experts": True}, UsageError, "belongs to --lora"),
        ({"out": Path("x"), "steps": 1, "epochs": 1}, UsageError, "not both"),
        ({"out": Path("x"), "model": "gone/away", "lora": 1}, Dvl2Error, "gone/away"),
        ({"out": Path("x"), "model": str(TINY), "merge": True}, UsageError, "for LoRA"),
        ({"out": Path("x"), "plot": True}, UsageError, "RUN --plot"),
    ],
)
def test_contradictions_are_refused(
    data: Path, said: dict[str, object], kind: type[Dvl2Error], reason: str
) -> None:
    with pytest.raises(kind, match=reason):
        train(data, **said)  # type: ignore[arg-type]


def test_a_recipe_says_itself_what_to_train(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text("", "utf-8")
    with pytest.raises(UsageError, match="says itself"):
        train(recipe, out=tmp_path / "run", lora=4)
    with pytest.raises(InputError, match="no such file"):
        train(tmp_path / "none.jsonl", out=tmp_path / "run")
    with pytest.raises(UsageError, match="--merge or --plot"):
        train(tmp_path)
