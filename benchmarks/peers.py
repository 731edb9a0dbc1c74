"""Programs that run DeepSeek-VL2, held to what the upstream code computes.

    python benchmarks/peers.py [--json FILE]

Each program that is installed gets the inputs of the golden data (tests/golden): tiny random
checkpoints in the released format. The figures are the largest differences of the logits from
upstream's, in float32. Equal implementations differ by about 1e-5; beyond 1e-3 they answer
otherwise. Programs that are not installed are listed as such. mlx-vlm on Linux:

    pip install 'mlx[cpu]' mlx-vlm
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from dvl2_cli.files import atomic_write  # noqa: E402
from tests import golden_data as golden  # noqa: E402

# One text, one picture.
CASES = ("l01_text", "l02_one_image")
Logits = np.ndarray  # [1, tokens, vocabulary]
Row = dict[str, Any]
# From a golden checkpoint's name and a case's inputs.
Forward = Callable[[str, dict[str, np.ndarray]], Logits]


def dvl2_forward(checkpoint: str, inputs: dict[str, np.ndarray]) -> Logits:
    """The logits of this project's network."""
    import torch

    with torch.no_grad():
        tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
        return golden.model(checkpoint)(**tensors, use_cache=False).logits.numpy()


class MlxVlm:
    """The logits of mlx-vlm, on the CPU.

    Args:
        folder: for copies of the checkpoints.
        language: what is added to the ``language_config`` as it was released.
    """

    def __init__(self, folder: Path, language: dict[str, Any]) -> None:
        self._folder, self._language = folder, language
        self._models: dict[str, Any] = {}

    def __call__(self, checkpoint: str, inputs: dict[str, np.ndarray]) -> Logits:
        """As `dvl2_forward`."""
        import mlx.core as mx

        arrays = {name: mx.array(_narrow(value)) for name, value in inputs.items()}
        arrays.pop("attention_mask", None)
        # Left to be evaluated later, they sometimes gave other features of pictures.
        mx.eval(arrays)
        out = self._model(checkpoint)(**arrays)
        return np.array(out.logits.astype(mx.float32))

    def _model(self, checkpoint: str) -> Any:
        if checkpoint not in self._models:
            import mlx.core as mx
            from mlx_vlm.utils import load_model

            mx.set_default_device(mx.cpu)
            copy = self._folder / checkpoint
            shutil.copytree(golden.ROOT / "checkpoints" / checkpoint, copy, dirs_exist_ok=True)
            config = json.loads((copy / "config.json").read_text("utf-8"))
            # Of the tower mlx-vlm knows the released sizes by heart; these are smaller.
            vision = config["vision_config"]
            vision["intermediate_size"] = int(vision["width"] * vision["mlp_ratio"])
            vision["num_attention_heads"] = vision["heads"]
            config["language_config"] |= self._language
            (copy / "config.json").write_text(json.dumps(config), "utf-8")
            model = load_model(copy)
            model.set_dtype(mx.float32)
            self._models[checkpoint] = model
        return self._models[checkpoint]


def _narrow(value: np.ndarray) -> np.ndarray:
    """Whole numbers in 32 bits, by which mlx slices."""
    return value.astype(np.int32) if value.dtype == np.int64 else value


def differences(program: str, forward: Forward) -> Iterator[Row]:
    """A row for each golden checkpoint and case."""
    for checkpoint in golden.CHECKPOINTS:
        for case in CASES:
            row: Row = {"program": program, "checkpoint": checkpoint, "case": case}
            try:
                yield {**row, **_difference(checkpoint, case, forward)}
            except Exception as error:  # whatever another program raises is its result
                yield {**row, "error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}


def _difference(checkpoint: str, case: str, forward: Forward) -> Row:
    described = golden.cases(checkpoint, "logits")["cases"][case]
    inputs = golden.model_inputs(checkpoint, described["processor_cases"])
    expected = golden.tensors(checkpoint, "logits")[f"{case}.logits"].numpy()
    found = forward(checkpoint, {name: value.numpy() for name, value in inputs.items()})
    found = found[:, -expected.shape[1] :]
    same = found.argmax(-1) == np.array(described["argmax"])
    return {
        "largest_difference": float(np.abs(found - expected).max()),
        "same_most_probable_token": float(same.mean()),
    }


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Print a table, and write the rows where ``--json`` says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = list(differences("dvl2", dvl2_forward))
    mlx_vlm = _installed("mlx-vlm")
    if mlx_vlm is None:
        rows.append({"program": "mlx-vlm", "error": "not installed"})
    else:
        for words, language in (("", {}), (", rope_traditional", {"rope_traditional": True})):
            with tempfile.TemporaryDirectory() as folder:
                name = f"mlx-vlm {mlx_vlm}{words}"
                rows += differences(name, MlxVlm(Path(folder), language))
    for row in rows:
        figure = row.get("largest_difference")
        shown = row["error"] if figure is None else f"{figure:.1e}"
        print("\t".join((row["program"], row.get("checkpoint", ""), row.get("case", ""), shown)))
    if arguments.json is not None:
        with atomic_write(arguments.json) as stream:
            stream.write(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
