"""``dvl2 pull`` as the user runs it, against the local hub."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hub.conftest import MODEL
from tests.hub.server import Hub
from tests.store.tiny_checkpoint import write_checkpoint

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def environment(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("DVL2_CONFIG", str(tmp_path / "settings.toml"))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'models'}")


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dvl2_cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*words: str, code: int = 0) -> tuple[str, str]:
    child = start(*words)
    out, err = child.communicate(timeout=60)
    assert child.returncode == code, err
    assert "Traceback" not in err
    return out, err


def test_pull_then_ls_then_again_offline(hub: Hub, models: Path) -> None:
    import jsonschema

    out, err = run("pull", MODEL, "--quant", "none", "--json")
    line = json.loads(out)
    schema = json.loads((ROOT / "docs/schemas/dvl2.pull.1.json").read_text(encoding="utf-8"))
    jsonschema.validate(line, schema)
    assert line["revision"] == hub.commit(MODEL)
    assert line["copy"] is None
    assert f"{MODEL}@{line['revision'][:8]}: 8 files, " in err
    assert "free" in err
    hub.seen.clear()
    out, err = run("pull", MODEL, "--quant", "none", "--offline", "--quiet")
    assert (out, err) == ("", "")
    assert not hub.seen
    out, _ = run("ls", "--json")
    assert json.loads(out.splitlines()[0])["id"] == MODEL
    assert json.loads(out.splitlines()[0])["default"] is True


def test_dry_run_fetches_nothing(hub: Hub, models: Path) -> None:
    out, err = run("pull", MODEL, "--dry-run", "--quant", "int4")
    assert out == ""
    assert "about " in err
    assert not models.exists()
    assert not [seen for seen in hub.seen if "/resolve/" in seen.path]


def test_a_dry_run_as_json(hub: Hub, models: Path) -> None:
    import jsonschema

    out, _ = run("pull", MODEL, "--dry-run", "--quant", "int4", "--json")
    line = json.loads(out)
    schema = json.loads((ROOT / "docs/schemas/dvl2.pull-plan.1.json").read_text(encoding="utf-8"))
    jsonschema.validate(line, schema)
    assert line["size"] == sum(file["size"] for file in line["files"])
    assert line["copy"] > 0
    assert line["revision"] == hub.commit(MODEL)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("owner/absent",), 3, "has no model owner/absent, or it is private"),
        ((MODEL, "--revision", "v9"), 3, f"{MODEL} has no revision 'v9'"),
        ((MODEL, "--offline"), 3, "--offline forbids fetching it"),
        (("nano",), 2, "nano is bundled"),
        (("huge",), 3, "no model is called 'huge'"),
        ((MODEL, "--quant", "int2"), 2, "--quant is 'int2'"),
        ((), 2, "Missing argument"),
    ],
)
def test_refusals(words: tuple[str, ...], code: int, said: str, models: Path) -> None:
    out, err = run("pull", *words, code=code)
    assert out == ""
    assert said in err
    assert not models.exists()


def test_a_folder_is_not_pulled(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mine")
    assert "is a folder here" in run("pull", str(folder), code=2)[1]


def test_wrong_hash(hub: Hub) -> None:
    hub.faults.content["config.json"] = b"{}".ljust(
        (hub.models[MODEL] / "config.json").stat().st_size
    )
    _, err = run("pull", MODEL, "--quant", "none", code=3)
    assert "does not have the hash that the hub publishes; it was deleted" in err
    assert "incomplete: dvl2 pull" in run("ls")[0]


def test_the_token_is_sent_to_the_hub_and_not_elsewhere(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    run("pull", MODEL, "--quant", "none")
    for seen in hub.seen:
        assert (seen.authorization is None) == seen.path.startswith("/cdn/"), seen


def test_killed_conversions_and_all_go_with_rm(hub: Hub, models: Path) -> None:
    run("pull", MODEL, "--quant", "none")
    (original,) = models.glob("*/*/original")
    (original.parent / "int4.partial").mkdir()
    (original.parent / "int4.lock").touch()
    run("rm", MODEL, "-y")
    assert list(models.iterdir()) == []


@pytest.mark.slow
def test_pull_makes_the_quantised_copy(hub: Hub, models: Path) -> None:
    out, err = run("pull", MODEL, "--quant", "int4", "--json")
    made = json.loads(out)["copy"]
    assert made["quant"] == "int4"
    assert "made the int4 copy" in err
    lines = [json.loads(line) for line in run("ls", "--json")[0].splitlines()]
    assert {line["quant"] for line in lines if line["id"] == MODEL} == {"none", "int4"}
    assert next(line for line in lines if line["default"])["folder"] == made["folder"]
    run("show", made["folder"])
    assert "the int4 copy is here already" in run("pull", MODEL, "--quant", "int4")[1]


def test_nothing_phones_home(hub: Hub) -> None:
    run("pull", MODEL, "--quant", "none")
    wanted = (f"/api/models/{MODEL}/", f"/api/models/{MODEL}", f"/{MODEL}/resolve/", "/cdn/")
    assert [seen.path for seen in hub.seen if not seen.path.startswith(wanted)] == []


def test_interrupt_keeps_what_was_fetched(hub: Hub, models: Path) -> None:
    hub.faults.seconds_per_chunk = 5.0
    child = start("pull", MODEL, "--quant", "none")
    deadline = time.monotonic() + 30
    while not any("/cdn/" in seen.path for seen in hub.seen) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "What was fetched is kept: dvl2 pull" in err
    assert list(models.glob("*/*/original.partial/config.json"))
    hub.faults.seconds_per_chunk = 0.0
    run("pull", MODEL, "--quant", "none")


def test_a_bar_on_a_terminal(hub: Hub) -> None:
    import pexpect

    hub.faults.seconds_per_chunk = 0.3
    child = pexpect.spawn(
        sys.executable,
        ["-m", "dvl2_cli", "pull", MODEL, "--quant", "none"],
        env=os.environ | {"TERM": "xterm"},
        encoding="utf-8",
        dimensions=(24, 100),
        timeout=60,
    )
    child.expect("safetensors .*kB")
    child.expect("every file has its published hash")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
