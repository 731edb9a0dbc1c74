"""What quantising and the adaptive tile budget cost in quality.

    python benchmarks/quality.py FOLDER [--limit N] [--only int8|int4|nf4]

Nano answers its own suite with its released weights, with an int8, an int4 and an nf4 copy, and
with ``--tiles auto``. The nf4 copy is for CUDA; here its weights are unpacked to float32 first,
which leaves out only the rounding of bfloat16 products. Beside that, copies of nano and of the
golden checkpoints (which the upstream code computed) are compared with their originals token by
token. Copies are written to FOLDER; the result goes to results/quality.json and into README.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tables import RESULTS, write_tables
from torch import Tensor

from dvl2_cli.engine.request import Tiles
from dvl2_cli.files import atomic_write
from dvl2_cli.store.places import nano_folder

_GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "checkpoints"
_COPIES = ("int8", "int4", "nf4")


def measure(folder: Path, limit: int | None, copies: Sequence[str]) -> dict[str, Any]:
    """Scores of every variant and agreements of the ``copies``."""
    nano = nano_folder()
    if nano is None:
        sys.exit("the bundled model is not installed")
    agreements = {
        source.name: {kind: _agreement(source, folder, kind) for kind in copies}
        for source in (nano, *sorted(_GOLDEN.iterdir()))
    }
    variants: list[tuple[str, Path, Tiles]] = [("none", nano, None)]
    variants += [(kind, _fast(folder / f"{nano.name}-{kind}", nano), None) for kind in copies]
    variants.append(("none, --tiles auto", nano, "auto"))
    if len(copies) < len(_COPIES):
        variants = [variant for variant in variants if variant[0] in copies]
    suite = {}
    for name, model, tiles in variants:
        print(f"the nano suite: {name}", file=sys.stderr)
        suite[name] = list(_suite(model, tiles, limit))
    return {
        "schema": "dvl2.quality/1",
        "limit": limit,
        "agreement": agreements,
        "class_divergence": _class_divergences(nano),
        "suite": suite,
    }


def added(new: dict[str, Any], path: Path) -> dict[str, Any]:
    """``new`` laid over the result in ``path``, which must be of the same items."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["limit"] != new["limit"]:
        sys.exit(f"{path} was measured with --limit {kept['limit']}")
    for source, kinds in new["agreement"].items():
        kept["agreement"][source] |= kinds
    kept["suite"] |= new["suite"]
    return {**kept, "suite": {name: kept["suite"][name] for name in _order(kept["suite"])}}


def _order(variants: Iterable[str]) -> list[str]:
    order = ["none", *_COPIES, "none, --tiles auto"]
    return sorted(variants, key=order.index)


def _class_divergences(nano: Path) -> dict[str, dict[str, float]]:
    from sensitivity import class_divergences

    return class_divergences(nano)


def _agreement(source: Path, folder: Path, kind: str) -> dict[str, Any]:
    from dvl2_cli.quantizing.quantize import Format, quantize_model
    from dvl2_cli.quantizing.round_trip import round_trip

    copy = folder / f"{source.name}-{kind}"
    quantize_model(source, Format(kind), copy, lambda done, total: None)
    return asdict(round_trip(source, copy, nf4=kind == "nf4"))


def _fast(copy: Path, source: Path) -> Path:
    """The copy, or beside an nf4 one the same weights as float32."""
    from dvl2_cli.store.resolve import folder_quant

    if folder_quant(copy) != "nf4":
        return copy
    plain = copy.with_name(f"{copy.name}-unpacked")
    shutil.rmtree(plain, ignore_errors=True)
    plain.mkdir()
    for companion in source.iterdir():
        if companion.is_file() and companion.suffix != ".safetensors":
            shutil.copy(companion, plain)
    save_file(_unpacked(copy), plain / "model.safetensors", {"format": "pt"})
    return plain


def _unpacked(copy: Path) -> dict[str, Tensor]:
    """The weights of an nf4 copy as float32, by their released names."""
    from bitsandbytes.functional import dequantize_4bit

    from deepseek_vl_v2 import DeepseekVLV2ForCausalLM

    model = DeepseekVLV2ForCausalLM.from_pretrained(copy, dtype="auto", local_files_only=True)
    weights = {}
    for name, parameter in model.named_parameters():
        state = getattr(parameter, "quant_state", None)
        plain = parameter.data if state is None else dequantize_4bit(parameter.data, state)
        weights[name] = plain.float().contiguous()
    return weights


def _suite(model: Path, tiles: Tiles, limit: int | None) -> Iterator[dict[str, Any]]:
    """One row for each group of the suite, with the mean number of image tokens.

    Every item is one answer: pages are not read in bands or a second time, as ``dvl2 eval`` does.
    """
    from dvl2_cli.engine.engine import ModelInfo
    from dvl2_cli.engine.events import Finished
    from dvl2_cli.engine.local.engine import LocalEngine
    from dvl2_cli.engine.local.loading import load_model
    from dvl2_cli.engine.request import RequestDefaults
    from dvl2_cli.evaluation.runner import request_for
    from dvl2_cli.evaluation.scoring import score
    from dvl2_cli.evaluation.summary import summarise_part
    from nano_lab.evaluation.nano_suite import PARTS, part_items
    from nano_lab.rendering import VERSION

    loaded = load_model(model)
    info = ModelInfo("nano", None, "", "cpu", loaded.context_length, True, "")
    engine = LocalEngine(loaded, info)
    for part in PARTS:
        outcomes, image_tokens = [], 0
        for item in part_items(part, limit):
            *_, finished = engine.stream(request_for(item, RequestDefaults(tiles=tiles)))
            assert isinstance(finished, Finished)  # noqa: S101
            usage = finished.usage
            image_tokens += usage.image_tokens
            outcomes.append(score(item, finished, usage.prefill_seconds + usage.decode_seconds))
        for summary in summarise_part(part.name, outcomes, part.bar):
            row = {**summary.as_json(), "renderer": VERSION}
            yield {**row, "image_tokens": image_tokens / len(outcomes)}


def main() -> None:
    """Parse the command line, measure and write result and table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, help="Items of each part of the suite.")
    parser.add_argument("--only", choices=_COPIES, help="Add this copy to the result there is.")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    copies = [arguments.only] if arguments.only else _COPIES
    result = measure(arguments.folder, arguments.limit, copies)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "quality.json"
    if arguments.only and path.is_file():
        result = added(result, path)
    with atomic_write(path) as stream:
        stream.write(json.dumps(result, indent=1) + "\n")
    write_tables()


if __name__ == "__main__":
    main()
