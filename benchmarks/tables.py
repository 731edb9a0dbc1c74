"""The tables of README.md, made from results/*.json between markers.

python benchmarks/tables.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dvl2_cli.files import atomic_write
from dvl2_cli.sizes import format_size

HERE = Path(__file__).parent
RESULTS = HERE / "results"
README = HERE / "README.md"
# Result files in the order of the rows, and what they are called there.
BENCHES = {
    "tiny": "Tiny",
    "tiny-int8": "Tiny, int8",
    "small": "Small",
    "small-4gb": "Small under 4 GB",
    "27b": "27B",
    "27b-8gb": "27B under 8 GB",
}
COMPARISONS = ("tiny", "small")
MISSING = "Not measured yet: {}."

Json = dict[str, Any]


def write_tables() -> None:
    """Write every table anew; what has no result is named as missing."""
    text = README.read_text(encoding="utf-8")
    for name, table in (
        ("machine", machine()),
        ("speed", speed()),
        ("memory", memory()),
        ("llama.cpp", llama_cpp()),
        ("quality", quality()),
        ("agreement", agreement()),
        ("classes", classes()),
    ):
        text = _filled(text, name, table)
    with atomic_write(README) as stream:
        stream.write(text)


def _filled(text: str, name: str, table: str) -> str:
    before, mark, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not end:
        raise ValueError(f"README.md has no place for the table {name!r}")
    return before + mark + table + end + after


def machine() -> str:
    """Where the speeds were measured."""
    found = {json.dumps(result["machine"], sort_keys=True) for _, result in _benches()}
    if not found:
        return MISSING.format("there is no result at all") + "\n"
    lines = []
    for plain in sorted(found):
        this = json.loads(plain)
        versions = ", ".join(f"{name} {number}" for name, number in this["versions"].items())
        lines.append(
            f"{this['cpu']}, {this['cores']} cores, {this['threads']} threads, "
            f"{format_size(this['ram'])} of memory, {this['kernels']} kernels; {versions}.\n"
        )
    return "".join(lines)


def speed() -> str:
    """Rates beside their limits."""
    rows = []
    for title, result in _benches():
        speeds, ratios = result["speeds"], result["ratios"]
        outside, gain = speeds["outside_kernels"], speeds["lookup_gain"]
        bandwidth = format_size(speeds["read_bandwidth"])
        rows.append([
            title,
            f"{speeds['decode_tokens']:.1f}",
            f"{ratios['decode_to_read_bandwidth']:.0%} of {bandwidth}/s",
            f"{speeds['prefill_tokens']:.0f}",
            f"{ratios['prefill_to_dense_peak']:.0%}",
            f"{speeds['tiles']:.2f}",
            f"{ratios['tower_to_dense_peak']:.0%}",
            f"{speeds['warm_first_token_seconds']:.2f} s",
            "" if outside is None else f"{outside:.1%}",
            "" if gain is None else f"{gain:.2f}",
        ])  # fmt: skip
    names = ["", "decode, tok/s", "of read bandwidth", "prefill, tok/s", "of dense peak", "tiles/s",
             "of dense peak", "first token", "outside kernels", "drafts, times"]  # fmt: skip
    return _table(names, rows) + _missing(BENCHES)


def memory() -> str:
    """Sizes of files, process and cache."""
    rows = []
    for title, result in _benches():
        sizes, ratios = result["memory"], result["ratios"]
        cap = sizes["cap"]
        rows.append([
            title,
            format_size(sizes["weights"]),
            f"{ratios['load_to_file']:.1%}",
            format_size(sizes["peak"]) + ("" if cap is None else f" of {format_size(cap)}"),
            format_size(sizes["read_per_token"]),
            f"{format_size(sizes['cache_per_token'])}, {ratios['cache_expanded_to_latent']:.1f}",
        ])  # fmt: skip
    names = ["", "weight files", "loading took", "peak resident", "read for a token",
             "cache for a token, times smaller"]  # fmt: skip
    return _table(names, rows) + _missing(BENCHES)


def llama_cpp() -> str:
    """dvl2 and llama.cpp in turns."""
    files = {f"compare-{shape}": BENCHES[shape] for shape in COMPARISONS}
    rows = [_pair(title, name, result) for title, result in _read(files)
            for name in ("decode", "prefill")]  # fmt: skip
    names = ["", "dvl2, tok/s", "llama.cpp, tok/s", "ratio", "of read bandwidth", "llama.cpp"]
    return _table(names, rows) + _missing(files)


def _pair(title: str, name: str, result: Json) -> list[str]:
    median, ratios, theirs = result["median"], result["ratios"], result["llama.cpp"]
    shares = [ratios[f"{program}_decode_to_read_bandwidth"] for program in ("dvl2", "llama.cpp")]
    built = str(theirs.get("cpu") or theirs.get("cpu_info", "")).replace("|", "/")
    return [
        f"{title}, {name}",
        f"{median['dvl2'][name]:.1f}",
        f"{median['llama.cpp'][name]:.1f}",
        f"{ratios[f'{name}_dvl2_to_llama.cpp']:.2f}",
        f"{shares[0]:.0%} and {shares[1]:.0%}" if name == "decode" else "",
        f"{theirs['program']} ({built})",
    ]


def quality() -> str:
    """Nano's own suite at every format."""
    found = dict(_read({"quality": "quality"})).get("quality")
    if found is None:
        return MISSING.format("nano's suite (quality.py)") + "\n"
    variants: Json = found["suite"]
    rows = []
    for rank, first in enumerate(next(iter(variants.values()))):
        row = [f"{first['group']}, {first['metric']} (n = {first['n']})"]
        for summaries in variants.values():
            this = summaries[rank]
            row.append(
                f"{this['mean']:.3f} ({this['low']:.3f} to {this['high']:.3f}), "
                f"{this['image_tokens']:.0f} image tokens, {this['seconds_per_item']:.2f} s"
            )
        rows.append(row)
    return _table(["", *variants], rows)


def agreement() -> str:
    """How often copies find the same token most probable as their originals."""
    found = dict(_read({"quality": "quality"})).get("quality")
    if found is None:
        return MISSING.format("copies against their originals (quality.py)") + "\n"
    rows = [
        [name, *(f"{kinds[kind]['top1']:.1%}, {kinds[kind]['kl']:.4f}" for kind in kinds)]
        for name, kinds in found["agreement"].items()
    ]
    kinds = next(iter(found["agreement"].values()))
    return _table(["", *(f"{kind}: same top token, KL" for kind in kinds)], rows)


def classes() -> str:
    """What rounding one class of nano's weights alone does."""
    found = dict(_read({"quality": "quality"})).get("quality")
    if found is None:
        return MISSING.format("one class at a time (quality.py)") + "\n"
    rows = [
        [name, f"{kinds['int8']:.5f}", f"{kinds['int4']:.5f}"]
        for name, kinds in found["class_divergence"].items()
    ]
    return _table(["only this class", "KL at int8", "KL at int4"], rows)


def _benches() -> list[tuple[str, Json]]:
    return _read(BENCHES)


def _read(files: dict[str, str]) -> list[tuple[str, Json]]:
    paths = {title: RESULTS / f"{name}.json" for name, title in files.items()}
    return [
        (title, json.loads(path.read_text(encoding="utf-8")))
        for title, path in paths.items()
        if path.is_file()
    ]


def _missing(files: dict[str, str]) -> str:
    absent = [title for name, title in files.items() if not (RESULTS / f"{name}.json").is_file()]
    if not absent:
        return ""
    blank = "" if len(absent) == len(files) else "\n"
    return blank + MISSING.format(", ".join(absent)) + "\n"


def _table(names: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    write_tables()
