from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dvl2_cli.errors import Dvl2Error, ModelError, OutputError
from dvl2_cli.store import hub as hub_module
from dvl2_cli.store.checkpoint import check_checkpoint
from dvl2_cli.store.names import HubId
from dvl2_cli.store.pulling import check_space, plan_pull, pull, pull_offline
from dvl2_cli.store.records import Record, all_records, find_record
from dvl2_cli.store.resolve import ModelSpec, resolve
from tests.hub.conftest import MODEL
from tests.hub.server import Hub

ID = HubId(MODEL)
SHARD = "model-00002-of-000003.safetensors"


class Count:
    """A progress that adds up."""

    def __init__(self) -> None:
        self.total = 0
        self.files: list[str] = []

    def file(self, name: str) -> None:
        self.files.append(name)

    def advance(self, count: int) -> None:
        self.total += count


def run(revision: str | None = None) -> Record:
    plan = plan_pull(ID, revision)
    check_space(plan)
    progress = Count()
    record = pull(plan, revision, progress)
    assert progress.total == plan.listing.size
    return record


def failure(action: Callable[[], object] = run) -> str:
    with pytest.raises(Dvl2Error) as caught:
        action()
    error = caught.value
    assert "\n" not in error.message + (error.hint or "")
    assert not list(all_records()), "nothing that failed may count as a model"
    return f"{error.exit_code} {error.message} | {error.hint}"


def partial(models: Path, hub: Hub) -> Path:
    return models / "owner--tiny-model" / hub.commit(MODEL) / "original.partial"


def test_pulls_the_needed_files_and_no_more(hub: Hub, models: Path) -> None:
    record = run()
    assert record.revision == hub.commit(MODEL)
    assert record.licence == "deepseek"
    names = {path.name for path in record.original.iterdir()}
    released = {path.name for path in hub.models[MODEL].iterdir()}
    assert names == released - {"pytorch_model.bin", "modeling.py"}
    check_checkpoint(record.original)
    for name in names:
        assert (record.original / name).read_bytes() == (hub.models[MODEL] / name).read_bytes()
    assert not partial(models, hub).exists()
    # The revision is pinned: content is asked for by commit, never by branch.
    assert all(record.revision in seen.path for seen in hub.seen if "/resolve/" in seen.path)


def test_the_pulled_model_is_the_default_and_is_found_by_name(hub: Hub) -> None:
    record = run()
    chosen = resolve(ModelSpec())
    assert (chosen.folder, chosen.reason) == (record.original, "last pulled")
    assert resolve(ModelSpec(model=MODEL, source="flag --model")).revision == record.revision
    assert resolve(ModelSpec(model=MODEL, revision=record.revision[:8])).folder == record.original


def test_pulling_again_fetches_nothing(hub: Hub) -> None:
    run()
    hub.seen.clear()
    assert plan_pull(ID, None).missing == 0
    run()
    assert not [seen for seen in hub.seen if "/cdn/" in seen.path or "/resolve/" in seen.path]


@pytest.mark.parametrize("change", ["a flipped bit", "cut short"])
@pytest.mark.parametrize("name", [SHARD, "tokenizer.json"])
def test_what_was_damaged_since_is_fetched_again(hub: Hub, name: str, change: str) -> None:
    record = run()
    right = (hub.models[MODEL] / name).read_bytes()
    middle = len(right) // 2
    flipped = right[:middle] + bytes([right[middle] ^ 1]) + right[middle + 1 :]
    (record.original / name).write_bytes(flipped if change == "a flipped bit" else right[:-1])
    hub.seen.clear()
    again = run()
    assert (record.original / name).read_bytes() == right
    assert again.files == record.files
    fetched = {seen.path.rsplit("/", 1)[1] for seen in hub.seen if "/resolve/" in seen.path}
    assert fetched == {name}


def test_a_cut_connection_is_continued_where_it_broke(hub: Hub) -> None:
    hub.faults.cut_after[SHARD] = [5000]
    run()
    first, second = hub.downloads(f"/cdn/{MODEL}/{SHARD}")
    assert first.range is None
    assert second.range is not None
    assert 0 < int(second.range.removeprefix("bytes=").rstrip("-")) <= 5000


def test_many_cuts(hub: Hub) -> None:
    hub.faults.cut_after = {SHARD: [3000] * 9, "config.json": [100, 200, 0]}
    run()


def test_a_later_run_continues_what_an_earlier_one_left(hub: Hub, models: Path) -> None:
    hub.faults.cut_after[SHARD] = [4096] + [0] * 100
    assert "cannot reach" in failure()
    left = partial(models, hub) / f"{SHARD}.incomplete"
    assert 0 < left.stat().st_size <= 4096
    hub.faults.cut_after.clear()
    hub.seen.clear()
    before = left.stat().st_size
    plan = plan_pull(ID, None)
    assert plan.present >= before
    run()
    assert [seen.range for seen in hub.downloads(f"/cdn/{MODEL}/{SHARD}")] == [f"bytes={before}-"]


def test_a_server_that_ignores_ranges(hub: Hub) -> None:
    hub.faults.ignore_range = True
    hub.faults.cut_after[SHARD] = [4096, 8192]
    run()


@pytest.mark.parametrize("name", [SHARD, "config.json", "tokenizer.json"])
def test_wrong_content_is_refused_and_not_kept(hub: Hub, models: Path, name: str) -> None:
    right = (hub.models[MODEL] / name).read_bytes()
    hub.faults.content[name] = bytes([right[0] ^ 1]) + right[1:]
    assert f"{name} of {MODEL}" in failure()
    assert not (partial(models, hub) / name).exists()
    assert not (partial(models, hub) / f"{name}.incomplete").exists()
    hub.faults.content.clear()
    run()


@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_size_is_refused(hub: Hub, change: int) -> None:
    right = (hub.models[MODEL] / SHARD).read_bytes()
    hub.faults.content[SHARD] = right[:-1] if change < 0 else right + b"x"
    said = failure()
    assert said.startswith(f"3 {SHARD} of {MODEL}")
    assert "does not have the size" in said


def test_wrong_bytes_left_by_an_earlier_run_are_refused(hub: Hub, models: Path) -> None:
    folder = partial(models, hub)
    folder.mkdir(parents=True)
    (folder / f"{SHARD}.incomplete").write_bytes(b"junk" * 100)
    assert "does not have the hash" in failure()
    run()


def test_too_much_left_by_an_earlier_run(hub: Hub, models: Path) -> None:
    folder = partial(models, hub)
    folder.mkdir(parents=True)
    (folder / f"{SHARD}.incomplete").write_bytes(bytes(10_000_000))
    run()


def test_a_mirror_without_hashes_still_has_sizes_and_headers(hub: Hub) -> None:
    hub.faults.no_hashes = True
    run()


def test_a_model_that_dvl2_cannot_run_is_not_recorded(hub: Hub) -> None:
    path = hub.models[MODEL] / "config.json"
    config = json.loads(path.read_text()) | {"model_type": "llama"}
    path.write_text(json.dumps(config))
    assert "model_type 'llama'" in failure()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ([500, 502], None),
        ([503] * 9, "answered HTTP 503"),
        ([429, 429], None),
        ([429] * 9, "answered HTTP 429"),
    ],
)
def test_listing_fails(hub: Hub, status: list[int], said: str | None) -> None:
    hub.faults.listing_status = status
    if said is None:
        run()
    else:
        assert said in failure()


@pytest.mark.parametrize(
    ("status", "said"),
    [([500], None), ([503] * 99, "answered HTTP 503"), ([403] * 9, "HTTP 403")],
)
def test_files_fail(hub: Hub, status: list[int], said: str | None) -> None:
    hub.faults.file_status = status
    if said is None:
        run()
    else:
        assert said in failure()


def test_gated(hub: Hub) -> None:
    hub.faults.gated = True
    said = failure()
    assert said.startswith(f"3 {MODEL} is gated")
    assert "hf auth login" in said


def test_unknown_model(hub: Hub) -> None:
    said = failure(lambda: plan_pull(HubId("owner/absent"), None))
    assert "has no model owner/absent, or it is private" in said


def test_unknown_revision(hub: Hub) -> None:
    assert f"{MODEL} has no revision 'v9'" in failure(lambda: run("v9"))


def test_something_else_answers(hub: Hub) -> None:
    hub.faults.garbage_listing = True
    said = failure()
    assert "does not answer like a model hub" in said
    assert "HF_ENDPOINT" in said


def test_nobody_answers(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert "cannot reach http://127.0.0.1:9" in failure()


def test_only_pickles(hub: Hub) -> None:
    for path in hub.models[MODEL].glob("*.safetensors"):
        path.unlink()
    assert "no safetensors weights but an index" in failure()


def test_not_a_model(hub: Hub) -> None:
    (hub.models[MODEL] / "config.json").unlink()
    assert "has no config.json" in failure()


def test_files_that_reach_outside_are_not_fetched() -> None:
    needed = hub_module._is_needed
    assert needed("model.safetensors")
    assert needed("LICENSE")
    for name in (
        "../x.json",
        "sub/x.json",
        "/x.json",
        "..",
        ".x.json",
        "x.bin",
        "x.py",
        "a\\b.json",
    ):
        assert not needed(name)


def test_offline(hub: Hub) -> None:
    said = failure(lambda: pull_offline(ID, None))
    assert said.startswith(f"3 {MODEL} is not on this machine and --offline forbids fetching")
    record = run()
    hub.seen.clear()
    assert pull_offline(ID, None) == record
    assert not hub.seen


def test_hub_offline_variable(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids fetching it" in failure()


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_no_space_is_said_before_anything_is_fetched(
    hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9, 1000))
    with pytest.raises(
        OutputError, match=r"needs 269 MB more, but only 1.00 kB are free"
    ) as caught:
        run()
    assert "DVL2_MODELS" in (caught.value.hint or "")
    assert not models.exists()


def test_space_for_the_quantised_copy_counts(hub: Hub) -> None:
    plain, more = plan_pull(ID, None), plan_pull(ID, None, extra_share=0.3)
    assert more.extra == int(plain.listing.size * 0.3)


def test_the_disk_fills_up_in_the_middle(
    hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("dvl2_cli.store.download.os.fsync", full)
        said = failure()
    assert "No space left on device" in said
    run()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_models_folder(hub: Hub, models: Path) -> None:
    models.mkdir()
    models.chmod(0o500)
    assert "Permission denied" in failure()


def test_models_folder_is_a_file(hub: Hub, models: Path) -> None:
    models.write_text("x")
    assert "cannot write" in failure()


def test_two_at_once(hub: Hub, models: Path) -> None:
    from filelock import FileLock

    folder = partial(models, hub).parent
    folder.parent.mkdir(parents=True)
    with FileLock(folder.parent / f"{folder.name}.lock"):
        assert "another dvl2 process is fetching" in failure()
    run()


def test_killed_between_the_rename_and_the_record(hub: Hub) -> None:
    record = run()
    (record.folder / "record.json").unlink()
    assert find_record(ID) is None
    hub.seen.clear()
    assert run().files == record.files
    assert not [seen for seen in hub.seen if "/cdn/" in seen.path]


def test_a_damaged_record_is_no_model(hub: Hub) -> None:
    record = run()
    (record.folder / "record.json").write_text('{"format": 1, "id"')
    assert find_record(ID) is None
    with pytest.raises(ModelError, match="is not on this machine"):
        resolve(ModelSpec(model=MODEL))


def test_what_another_tool_has_fetched_is_not_fetched_again(hub: Hub, models: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(
        MODEL, endpoint=hub.url, allow_patterns=["*.safetensors", "*.json", "LICENSE"]
    )
    hub.seen.clear()
    record = run()
    check_checkpoint(record.original)
    assert not [seen for seen in hub.seen if "/cdn/" in seen.path or "/resolve/" in seen.path]
    assert not (record.original / SHARD).is_symlink()
    # They may share the file on disk: what damages one damages both.
    (record.original / SHARD).write_bytes(bytes((record.original / SHARD).stat().st_size))
    assert run().files == record.files
