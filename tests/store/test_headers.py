from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvl2_cli.store.headers import BrokenFileError, read_header
from tests.store.tiny_checkpoint import write_raw_safetensors, write_safetensors

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def test_names_shapes_dtypes_and_places(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"x": (2, 3), "empty": (0, 4), "scalar": ()})
    tensors = read_header(path).tensors
    assert tensors["x"].shape == (2, 3)
    assert (tensors["x"].dtype, tensors["x"].elements, tensors["x"].nbytes) == ("BF16", 6, 12)
    assert tensors["scalar"].elements == 1
    assert tensors["scalar"].offset == path.stat().st_size - 2
    assert read_header(path).metadata == {"format": "pt"}


def test_agrees_with_the_library(tmp_path: Path) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    import numpy as np

    path = tmp_path / "a.safetensors"
    numpy.save_file({"x": np.arange(6, dtype=np.float32).reshape(2, 3)}, path)
    tensor = read_header(path).tensors["x"]
    data = path.read_bytes()[tensor.offset : tensor.offset + tensor.nbytes]
    assert np.frombuffer(data, np.float32).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("header", "data", "said"),
    [
        ({"x": {**ENTRY, "dtype": "F12"}}, bytes(8), "malformed header entry for x"),
        ({"x": {**ENTRY, "shape": [-2]}}, bytes(8), "malformed header entry for x"),
        ({"x": {**ENTRY, "shape": [True]}}, bytes(8), "malformed header entry for x"),
        ({"x": {**ENTRY, "shape": 2}}, bytes(8), "malformed header entry for x"),
        ({"x": {"dtype": "F32"}}, bytes(8), "malformed header entry for x"),
        ({"x": {**ENTRY, "shape": [3]}}, bytes(8), "gives x 8 bytes where its shape needs 12"),
        ({"x": ENTRY, "y": ENTRY}, bytes(8), "gap or an overlap before"),
        ({"x": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12), "gap or an overlap before x"),
        ({"x": ENTRY}, bytes(4), "is truncated"),
        ({"x": ENTRY}, bytes(9), "1 bytes after its last tensor"),
        ([1], b"", "header is not a table"),
        ({"__metadata__": 3}, b"", "metadata that is not a table"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, header: object, data: bytes, said: str) -> None:
    path = tmp_path / "a.safetensors"
    write_raw_safetensors(path, header, data)
    with pytest.raises(BrokenFileError, match=said):
        read_header(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is truncated: 0 bytes"),
        (b"\x01\x02", "too short for a header"),
        ((1 << 62).to_bytes(8, "little") + b"{}", "impossible header length"),
        ((400).to_bytes(8, "little") + b"{}", "truncated within its header"),
        ((2).to_bytes(8, "little") + b"{!", "header is not JSON"),
        ((2).to_bytes(8, "little") + b"\xff\xfe", "header is not JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "git-lfs pointer"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(BrokenFileError, match=said):
        read_header(path)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(BrokenFileError, match="cannot be read: Is a directory"):
        read_header(tmp_path)


def test_deeply_nested_header(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    text = b"[" * 200_000
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(BrokenFileError, match="not JSON"):
        read_header(path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutations_give_a_header_or_a_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"x": (2, 3), "y": (4,)})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        header = read_header(path)
    except BrokenFileError as error:
        said = str(error)
        assert said.splitlines() == [said]
        return
    end = max((t.offset + t.nbytes for t in header.tensors.values()), default=None)
    assert end is None or end == path.stat().st_size
    assert json.dumps(header.metadata)
