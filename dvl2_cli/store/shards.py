"""Which safetensors files make up a checkpoint, and the headers of all of them."""

from __future__ import annotations

from pathlib import Path

from dvl2_cli.store.headers import BrokenFileError, FileHeader, TensorHeader, read_header
from dvl2_cli.store.json_file import read_json
from dvl2_cli.store.problems import Problem, fetch_again

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_LONGEST_NAME = 255  # bytes, on every usual file system
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def read_tensors(folder: Path, problems: list[Problem]) -> dict[str, TensorHeader] | None:
    """Every tensor of the checkpoint by key; None if some file could not be read.

    A single ``model.safetensors`` wins over an index, as when transformers loads.
    """
    if (folder / SINGLE).is_file():
        header = _read(folder / SINGLE, problems)
        return None if header is None else header.tensors
    if (folder / INDEX).is_file():
        return _read_indexed(folder, problems)
    remedy = fetch_again(folder)
    if any(path for pattern in _PICKLES for path in folder.glob(pattern)):
        problems.append(
            Problem(
                f"{folder} has only pickled weights, which can run code when opened",
                "dvl2 loads safetensors only: convert the weights or pull the original.",
            )
        )
    else:
        problems.append(Problem(f"{folder} has no weights: neither {SINGLE} nor {INDEX}", remedy))
    return None


def _read_indexed(folder: Path, problems: list[Problem]) -> dict[str, TensorHeader] | None:
    path = folder / INDEX
    index = read_json(path, problems)
    if index is None:
        return None
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not all(_is_name(v) for v in weight_map.values()):
        problems.append(
            Problem(f"{path} has no weight_map of key to file name", fetch_again(folder))
        )
        return None
    tensors: dict[str, TensorHeader] = {}
    whole = True
    for name in sorted(set(weight_map.values())):
        header = _read(folder / name, problems)
        if header is None:
            whole = False
            continue
        tensors |= header.tensors
        _compare(path, name, set(header.tensors), weight_map, problems)
    return tensors if whole else None


def _compare(
    path: Path,
    shard: str,
    held: set[str],
    weight_map: dict[str, str],
    problems: list[Problem],
) -> None:
    promised = {key for key, name in weight_map.items() if name == shard}
    remedy = fetch_again(path)
    problems += [
        Problem(f"{path} says that {shard} holds {key}, but it does not", remedy)
        for key in sorted(promised - held)
    ]
    problems += [
        Problem(f"{path.parent / shard} holds {key}, which {path.name} puts elsewhere", remedy)
        for key in sorted(held - promised)
    ]


def _read(path: Path, problems: list[Problem]) -> FileHeader | None:
    remedy = fetch_again(path)
    if not path.is_file():
        problems.append(Problem(f"{path} is missing, though the index names it", remedy))
        return None
    try:
        return read_header(path)
    except BrokenFileError as error:
        problems.append(Problem(f"{path} {error}", remedy))
        return None


def _is_name(value: object) -> bool:
    # Only plain names: an index must not reach out of its folder.
    return (
        isinstance(value, str)
        and value == Path(value).name
        and value.endswith(".safetensors")
        and value.isprintable()
        and len(value.encode("utf-8", "replace")) <= _LONGEST_NAME
    )
