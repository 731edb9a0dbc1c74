"""A hub that lies about commits, names and sizes, or whose answers have no end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dvl2_cli.errors import ModelError
from dvl2_cli.store import hub_client
from tests.hub.server import Hub
from tests.hub.test_pull import failure, partial, run

FILE = "model-00001-of-000003.safetensors"


def everything(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "commit", ["../../../escaped", "/tmp/escaped", "main", "", "A" * 40, "0" * 39, "0" * 41]
)
def test_a_commit_is_40_hexadecimal_digits(
    hub: Hub, models: Path, tmp_path: Path, commit: str
) -> None:
    hub.faults.listing = {"sha": commit}
    before = everything(tmp_path)
    assert "does not answer like a model hub" in failure()
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("sibling", "what"),
    [
        ({"rfilename": "a\0b.json", "size": 1}, "no plain file name"),
        ({"rfilename": "a\x1b[2J.json", "size": 1}, "no plain file name"),
        ({"rfilename": "C:evil.json", "size": 1}, "no plain file name"),
        ({"rfilename": "x" * 300 + ".json", "size": 1}, "no plain file name"),
        ({"rfilename": "config.json", "size": 1}, "names config.json twice"),
        ({"rfilename": "Config.JSON.json", "size": -5}, "a size of -5 bytes"),
        ({"rfilename": "big.json", "size": 2**60}, "a size of 1152921504606846976 bytes"),
    ],
)
def test_names_and_sizes_that_cannot_be(
    hub: Hub, models: Path, sibling: dict[str, Any], what: str
) -> None:
    hub.faults.siblings = [sibling]
    said = failure()
    assert what in said
    assert "\x1b" not in said
    assert not everything(models)


def test_subfolders_are_left_out_as_before(hub: Hub) -> None:
    hub.faults.siblings = [{"rfilename": "../up.json", "size": 1}]
    assert all(".." not in file.name for file in run().files)


def test_a_body_longer_than_its_size_stops_there(hub: Hub, models: Path) -> None:
    size = (hub.models["owner/tiny-model"] / FILE).stat().st_size
    hub.faults.content[FILE] = b"x" * (size + 5_000_000)
    assert f"{FILE} of owner/tiny-model" in failure()
    left = sum(path.stat().st_size for path in everything(partial(models, hub)))
    assert left < size + 5_000_000


def test_a_listing_without_end_is_refused(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_client, "MAX_ANSWER_BYTES", 10_000)
    hub.faults.padding = 20_000
    assert "more than 10000 bytes" in failure()


def test_a_listing_that_takes_too_long_is_refused(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_client, "MAX_ANSWER_SECONDS", -1.0)
    assert "takes over" in failure()


def test_a_compressed_listing_is_refused(hub: Hub) -> None:
    hub.faults.listing_headers = {"Content-Encoding": "gzip"}
    assert "is compressed" in failure()


def test_retry_after_is_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("dvl2_cli.store.hub.time.sleep", waits.append)
    hub.faults.listing_status, hub.faults.retry_after = [429], "7"
    run()
    assert waits[0] == 7.0


def test_a_socks_proxy_without_its_package_is_one_line(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_package() -> None:
        raise ImportError("Using SOCKS proxy, but the 'socksio' package is not installed.")

    monkeypatch.setattr(hub_client, "use_bounded_client", no_package)
    assert "pip install socksio" in failure()


def test_a_password_in_the_address_is_not_shown(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    address = hub.url.replace("://", "://me:hidden@")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    hub.faults.listing_status = [418]
    with pytest.raises(ModelError) as caught:
        run()
    assert "hidden" not in f"{caught.value.message} {caught.value.hint}"
