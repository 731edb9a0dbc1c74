"""``--plan`` of every command that asks a model, against the bundled nano."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from PIL import Image, ImageDraw, ImageFont

from dvl2_cli.engine.local.memory_cap import check_fits
from dvl2_cli.errors import OutOfMemoryError
from dvl2_cli.planning import plan as planning
from dvl2_cli.planning.hardware import Hardware
from dvl2_cli.quantizing.quantize import Format, quantize_model
from dvl2_cli.results.schemas import all_schemas
from dvl2_cli.store.checkpoint import check_checkpoint
from tests.commands.conftest import Cli, picture
from tests.planning.test_plan import GB, card, machine

NANO = Path(__file__).parents[2] / "models" / "dvl2_nano"
CHECKPOINTS = Path(__file__).parents[1] / "golden" / "checkpoints"


@pytest.fixture(autouse=True)
def nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are read by this function alone."""
    from dvl2_cli.engine.local import loading

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(loading, "load_model", refuse)


def on(monkeypatch: pytest.MonkeyPatch, hardware: Hardware) -> None:
    monkeypatch.setattr("dvl2_cli.planning.hardware.probe", lambda *_, **__: hardware)


def printed(path: Path) -> Path:
    """A picture with one line of print, which nano reads by its lines."""
    image = Image.new("RGB", (400, 120), "white")
    ImageDraw.Draw(image).text((20, 40), "A line of print", "black", ImageFont.load_default(28))
    image.save(path)
    return path


COMMANDS = {
    "chat": ("chat", "{picture}", "-p", "What is it?"),
    "ocr": ("ocr", "{picture}"),
    "ground": ("ground", "{picture}", "a car", "a dog"),
    "caption": ("caption", "{picture}"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_plan_as_json(cli: Cli, tmp_path: Path, name: str) -> None:
    by_lines = name == "ocr"
    path = tmp_path / "a.png"
    image = printed(path) if by_lines else picture(path, size=(900, 300))
    words = [word.format(picture=image) for word in COMMANDS[name]]
    done = cli(*words, "-m", "nano", "--plan", "--json")
    assert (done.code, done.err) == (0, "")
    (row,) = done.rows
    Draft202012Validator(all_schemas()["dvl2.plan.1.json"]).validate(row)
    assert len(row["prompts"]) == (2 if name == "ground" else 1)
    prompt = row["prompts"][0]
    columns = 1 if by_lines else 3
    assert prompt["tiles"] == [[columns, 1]]
    assert prompt["image_tokens"] == 14 * 15 + 1 + 14 * (columns * 14 + 1)
    assert prompt["room"] == 8192 - prompt["prompt_tokens"] > 0
    assert row["memory"]["by_tier"]["ram"] == sum(p["nbytes"] for p in row["memory"]["placements"])
    whats = {placement["what"] for placement in row["memory"]["placements"]}
    assert {"cache", "activations", "runtime", "routed experts", "vision tower"} <= whats
    assert all(choice["reason"] for choice in row["choices"])


def test_the_plan_as_tables(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    done = cli("ocr", printed(Path("[b]a.png")), "-m", "nano", "--plan")
    assert done.code == 0
    assert "\x1b" not in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())
    for word in ("[b]a.png", "1x1 + thumbnail", "routed experts", "activations", "of disk"):
        assert word in done.out


def test_nothing_is_written(cli: Cli, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png")
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "out"
    for words in (
        ("ocr", image, "-o", out),
        ("ground", image, "car", "-f", "coco", "-o", out, "--crop-dir", tmp_path / "crops"),
        ("caption", image, "--sidecar", ".txt"),
    ):
        assert cli(*words, "-m", "nano", "--plan").code == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_that_does_not_fit_is_refused_with_the_remedy(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = printed(tmp_path / "a.png")
    done = cli("ocr", image, "-m", "nano", "--plan", "--json", "--max-memory", "100MB")
    assert done.code == 4
    assert done.rows[0]["memory"] is None
    assert done.rows[0]["error"]["code"] == "oom"
    assert "--max-memory 100 MB is too small" in done.err
    assert "Give --max-memory" in done.err
    planned = done.err.splitlines()[-1]
    with pytest.raises(OutOfMemoryError) as loading:
        check_fits(check_checkpoint(NANO), "cpu", "100MB")
    assert f"  {loading.value.hint}" == planned
    on(monkeypatch, machine(GB // 2))
    done = cli("ocr", image, "-m", "nano", "--plan")
    assert done.code == 4
    assert "are free" in done.err


def test_a_prompt_that_is_too_long_is_refused(cli: Cli, tmp_path: Path) -> None:
    images = [picture(tmp_path / f"{index}.png", size=(1200, 1200)) for index in range(2)]
    done = cli("chat", *images, "-m", "nano", "-p", "Why? " * 1200, "--plan", "--json")
    assert done.code == 2
    assert done.rows[0]["prompts"][0]["room"] < 0
    assert "the model's context is 8192" in done.err
    assert "lower --tiles" in done.err


def test_a_card_gets_what_every_token_reads(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, machine(16 * GB, card(8 * GB)))
    done = cli("ocr", picture(tmp_path / "a.png"), "-m", "nano", "--plan", "--json")
    (row,) = done.rows
    Draft202012Validator(all_schemas()["dvl2.plan.1.json"]).validate(row)
    assert row["memory"]["device"] == "cuda"
    assert row["memory"]["by_tier"]["gpu"] > row["memory"]["by_tier"]["disk"] == 0
    assert row["accelerators"] == [
        {"kind": "cuda", "name": "a card", "free": 8 * GB, "total": 8 * GB}
    ]
    assert planning.Tier.GPU in {p["tier"] for p in row["memory"]["placements"]}


def test_a_packed_copy_stays_off_the_card(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantize_model(CHECKPOINTS / "mha", Format.int4, tmp_path / "int4", lambda done, total: None)
    on(monkeypatch, machine(16 * GB, card(8 * GB)))
    done = cli("ocr", picture(tmp_path / "a.png"), "-m", tmp_path / "int4", "--plan", "--json")
    assert done.code == 0
    assert done.rows[0]["memory"]["device"] == "cpu"
    choices = {choice["what"]: choice for choice in done.rows[0]["choices"]}
    assert choices["device"]["reason"] == "the copy is packed for the CPU"
    words = ("-m", tmp_path / "int4", "--plan", "--device", "cuda")
    refused = cli("ocr", tmp_path / "a.png", *words)
    assert (refused.code, refused.out) == (2, "")
    assert "is packed for the CPU, and --device is cuda" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--device", "cuda"), "no such device is there"),
        (("--device", "gpu"), "--device is 'gpu'"),
        (("--server", "http://127.0.0.1:9"), "a server would answer"),
    ],
)
def test_what_cannot_be_planned(
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    on(monkeypatch, machine())
    done = cli("ocr", picture(tmp_path / "a.png"), "-m", "nano", "--plan", "--json", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_unreadable_pictures_are_named_and_the_rest_planned(cli: Cli, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"no picture")
    done = cli("caption", tmp_path / "in", "-m", "nano", "--plan", "--json")
    assert done.code == 1
    assert [Path(p["subject"]).name for p in done.rows[0]["prompts"]] == ["a.png"]
    assert "b.png" in done.err
    assert json.dumps(done.rows)  # one line only, and it is JSON
