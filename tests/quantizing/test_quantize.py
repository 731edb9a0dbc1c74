from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from safetensors import safe_open

from deepseek_vl_v2.quantized_format import PackedKind, dequantise
from deepseek_vl_v2.quantized_loading import load_quantized, map_tensors
from deepseek_vl_v2.quantized_rounding import quantise
from dvl2_cli.errors import CancelledError, ModelError, OutputError
from dvl2_cli.quantizing.conversion import REPORT, file_hash
from dvl2_cli.quantizing.journal import JOURNAL
from dvl2_cli.quantizing.layout import plan_shards
from dvl2_cli.quantizing.quantize import Format, QuantizeResult, quantize_model
from dvl2_cli.quantizing.round_trip import compare
from dvl2_cli.store.checkpoint import check_checkpoint
from tests import golden_data

CHECKPOINTS = golden_data.ROOT / "checkpoints"


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def make(folder: Path, target: Format = Format.int4, name: str = "mla") -> QuantizeResult:
    return quantize_model(CHECKPOINTS / name, target, folder, silent)


def own_checkpoint(folder: Path, name: str = "mla") -> Path:
    # Copied without modes: the golden files may be read-only.
    folder.mkdir()
    for path in (CHECKPOINTS / name).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("name", golden_data.CHECKPOINTS)
@pytest.mark.parametrize("target", [Format.int4, Format.int8])
def test_a_copy_is_a_checkpoint_with_the_errors_that_its_format_promises(
    tmp_path: Path, name: str, target: Format
) -> None:
    copy = tmp_path / "copy"
    outcome = make(copy, target, name)
    info = check_checkpoint(copy)
    assert outcome.made
    assert info.quant_method == "dvl2"
    bounds = {"int4": 0.085, "int8": 0.007}
    for error in outcome.errors:
        assert 0 < error.relative_error < bounds[error.kind], error
    report = json.loads((copy / REPORT).read_text("utf-8"))
    for file, digest in report["sha256"].items():
        assert file_hash(copy / file) == digest
    assert not list(tmp_path.glob("*.partial"))
    assert not (copy / JOURNAL).exists()


def test_every_weight_is_the_released_one_within_rounding(tmp_path: Path) -> None:
    make(tmp_path / "copy", Format.int8, "mla-sigmoid")
    released = map_tensors(CHECKPOINTS / "mla-sigmoid")
    copied = map_tensors(tmp_path / "copy")
    for key, weight in released.items():
        if key.startswith("vision.attn_pool."):
            assert key not in copied
        elif copied[key].dtype is torch.uint8:
            back = dequantise(copied[key], weight.shape[0], weight.shape[1], torch.float32)
            assert float((back - weight).norm() / weight.norm()) < 0.007, key
        else:
            assert torch.equal(copied[key], weight), key


def test_weights_stay_mapped_and_on_cache_lines(tmp_path: Path) -> None:
    make(tmp_path / "copy")
    with safe_open(
        tmp_path / "copy" / "model-00002-of-00004.safetensors", "pt", backend="mmap"
    ) as shard:
        packed = [key for key in shard.keys() if shard.get_slice(key).get_dtype() == "U8"]  # noqa: SIM118
        pointers = {key: shard.get_tensor(key).data_ptr() for key in packed}
        assert all(pointer % 64 == 0 for pointer in pointers.values())
        assert pointers == {key: shard.get_tensor(key).data_ptr() for key in packed}


def test_an_experts_weights_lie_together() -> None:
    info = check_checkpoint(CHECKPOINTS / "mla")
    shard = plan_shards(info.tensors, info.architecture, PackedKind.INT4)[2]
    keys = [target.key for target, _ in shard.offsets() if ".experts." in target.key]
    owners = [key.split(".")[6] for key in keys]
    assert owners == sorted(owners, key=int)
    assert all(owners[i] == owners[i + 2] for i in range(0, len(owners), 3))


def test_a_current_copy_is_left_alone(tmp_path: Path) -> None:
    make(tmp_path / "copy")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "copy").iterdir()}
    assert not make(tmp_path / "copy").made
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "copy").iterdir()}
    assert before == after


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path / "whole")
    calls = []

    def interrupt(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 80:
            raise KeyboardInterrupt

    with pytest.raises(CancelledError, match="cancelled"):
        quantize_model(CHECKPOINTS / "mla", Format.int4, tmp_path / "copy", interrupt)
    assert not (tmp_path / "copy").exists()
    partial = tmp_path / "copy.partial"
    finished = (partial / JOURNAL).read_text("utf-8").count('"tensor"')
    assert finished >= 75
    # As after a crash: the last line is cut and some finished tensor's bytes never arrived.
    with (partial / JOURNAL).open("a", encoding="utf-8") as stream:
        stream.write('{"tensor": {"key": "langu')
    info = check_checkpoint(CHECKPOINTS / "mla")
    name = max(path.name for path in partial.glob("*.safetensors"))
    shards = plan_shards(info.tensors, info.architecture, PackedKind.INT4)
    offset = next(place for shard in shards if shard.name == name for _, place in shard.offsets())
    with (partial / name).open("r+b") as damaged:
        damaged.seek(offset + 100)
        damaged.write(b"\0" * 100)
    make(tmp_path / "copy")
    for path in (tmp_path / "whole").iterdir():
        if path.name != REPORT:
            assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes(), path.name


def test_what_was_finished_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > 0.7 * total:
            raise KeyboardInterrupt

    with pytest.raises(CancelledError):
        quantize_model(CHECKPOINTS / "mla", Format.int8, tmp_path / "copy", interrupt)
    packed = []

    def counted(*arguments: Any) -> Any:
        packed.append(1)
        return quantise(*arguments)

    monkeypatch.setattr("dvl2_cli.quantizing.conversion.quantise", counted)
    make(tmp_path / "copy", Format.int8)
    everything = len([key for key in map_tensors(tmp_path / "copy").values() if key.dim() == 3])
    assert 0 < len(packed) <= everything - 20


def test_a_changed_source_starts_anew(tmp_path: Path) -> None:
    source = own_checkpoint(tmp_path / "source")

    def interrupt(done: int, total: int) -> None:
        if done > 0.5 * total:
            raise KeyboardInterrupt

    with pytest.raises(CancelledError):
        quantize_model(source, Format.int4, tmp_path / "copy", interrupt)
    shard = source / "model-00001-of-000002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-2] + b"\x10\x3f")
    quantize_model(source, Format.int4, tmp_path / "copy", silent)
    quantize_model(source, Format.int4, tmp_path / "other", silent)
    for path in (tmp_path / "other").glob("*.safetensors"):
        assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes()


def test_an_outdated_copy_is_replaced(tmp_path: Path) -> None:
    source = own_checkpoint(tmp_path / "source")
    quantize_model(source, Format.int4, tmp_path / "copy", silent)
    shard = source / "model-00001-of-000002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-2] + b"\x10\x3f")
    assert quantize_model(source, Format.int4, tmp_path / "copy", silent).made
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "copy.lock", "source"]


def test_a_truncated_shard_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    source = own_checkpoint(tmp_path / "source")
    shard = source / "model-00002-of-000002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="truncated"):
        quantize_model(source, Format.int4, tmp_path / "copy", silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_weights_that_are_not_finite_are_refused_with_their_name(tmp_path: Path) -> None:
    source = own_checkpoint(tmp_path / "source")
    shard = source / "model-00002-of-000002.safetensors"
    header = check_checkpoint(source).tensors[
        "language.model.layers.2.mlp.experts.1.up_proj.weight"
    ]
    content = bytearray(header.file.read_bytes())
    content[header.offset : header.offset + 2] = b"\xc0\x7f"
    header.file.write_bytes(content)
    assert shard.exists()
    with pytest.raises(ModelError, match=r"experts\.1\.up_proj\.weight .*infinities or NaN"):
        quantize_model(source, Format.int4, tmp_path / "copy", silent)


def test_a_quantised_source_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "copy")
    with pytest.raises(ModelError, match="quantised already"):
        quantize_model(tmp_path / "copy", Format.int8, tmp_path / "again", silent)


def test_a_folder_that_dvl2_did_not_make_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds no quantised copy"):
        make(tmp_path / "copy")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        make(tmp_path / "file")


def test_two_processes_do_not_meet(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / "copy.lock"),
        pytest.raises(OutputError, match="another dvl2 process"),
    ):
        make(tmp_path / "copy")


def test_a_full_disk_is_noticed_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(OutputError, match="only 1"):
        make(tmp_path / "copy")
    monkeypatch.undo()
    assert make(tmp_path / "copy").made


def test_the_loaded_copy_maps_its_file(tmp_path: Path) -> None:
    make(tmp_path / "copy", name="mha")
    model = load_quantized(tmp_path / "copy")
    layer: Any = model.get_submodule("language.model.layers.1.mlp.experts.0.up_proj")
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("needs /proc")
    pointer = layer.weight.data_ptr()
    ranges = [line.split(maxsplit=5) for line in maps.read_text().splitlines()]
    owner = next(
        fields[-1]
        for fields in ranges
        if int(fields[0].split("-")[0], 16) <= pointer < int(fields[0].split("-")[1], 16)
    )
    assert owner.endswith(".safetensors")


@pytest.mark.parametrize("table", [None, {"quant_method": "gptq"}])
def test_only_own_copies_are_loaded(tmp_path: Path, table: dict[str, str] | None) -> None:
    make(tmp_path / "copy")
    path = tmp_path / "copy" / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["quantization_config"] = table
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="no quantised copy"):
        load_quantized(tmp_path / "copy")
    config["quantization_config"] = {"quant_method": "dvl2", "format_version": 99}
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="format version 99"):
        load_quantized(tmp_path / "copy")


def test_agreement_is_perfect_with_itself_and_not_with_noise() -> None:
    logits = torch.randn(50, 300, generator=torch.Generator().manual_seed(0))
    same = compare(logits, logits)
    assert same.kl == pytest.approx(0.0, abs=1e-9)
    assert same.top1 == 1.0
    other = compare(logits, logits.flip(1))
    assert other.kl > 0.1
    assert other.top1 < 0.1
    assert other.positions == 50
