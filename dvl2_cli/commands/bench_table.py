"""A benchmark's result as tables on a terminal; receives plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dvl2_cli.sizes import format_size
from dvl2_cli.ui.control import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dvl2_cli.benchmarking.result import BenchResult


def render_bench(result: BenchResult, console: Console) -> None:
    """Write speeds, their limits and memory to ``console``."""
    machine = result.machine
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    console.print(
        f"{printable(result.model)}, {result.quant}, {machine.kernels} kernels, "
        f"{machine.threads} threads\n{printable(machine.cpu)}, {machine.cores} cores, "
        f"{format_size(machine.ram)}; {versions}"
    )
    console.print(_speeds(result))
    console.print(_memory(result))


def _speeds(result: BenchResult) -> Table:
    speeds, kind = result.speeds, result.peaks.best_type
    table = _table("speed", "measured", "does", "limit in this run", "ratio")
    table.add_row(
        f"decode, {result.answer_tokens} tokens",
        f"{speeds.decode_tokens:.1f} tokens/s",
        f"{format_size(speeds.decode_bytes)}/s",
        f"{format_size(speeds.read_bandwidth)}/s read",
        f"{speeds.decode_ratio:.0%}",
    )
    table.add_row(
        f"prefill, {result.prompt_tokens} tokens",
        f"{speeds.prefill_tokens:.0f} tokens/s",
        _flops(speeds.prefill_multiply_adds),
        f"{_flops(speeds.prefill_peak)} {kind}",
        f"{speeds.prefill_ratio:.0%}",
    )
    table.add_row(
        "vision tower",
        f"{speeds.tiles:.2f} tiles/s",
        _flops(speeds.tower_multiply_adds),
        f"{_flops(speeds.tower_peak)} {kind}",
        f"{speeds.tower_ratio:.0%}",
    )
    if speeds.outside_kernels is not None:
        share = f"{speeds.outside_kernels:.1%}"
        table.add_row("outside the kernels", share, "of an answer's time", "", "")
    if speeds.lookup_gain is not None:
        gain = f"{speeds.lookup_gain:.2f} times"
        table.add_row("a table with drafts", gain, "as fast as without", "", "")
    table.add_row("load", f"{speeds.load_seconds:.2f} s", "", "", "")
    first = f"{speeds.warm_first_token_seconds:.2f} s"
    cold = f"one tile; right after loading {speeds.first_token_seconds:.2f} s"
    table.add_row("first token", first, cold, "", "")
    return table


def _memory(result: BenchResult) -> Table:
    memory = result.memory
    table = _table("memory", "size", "")
    cap = "" if memory.cap is None else f"cap {format_size(memory.cap)}"
    rows = [
        ("weights in the files", memory.weights, ""),
        ("resident before load", memory.before_load, "Python and libraries"),
        (
            "resident after load",
            memory.after_load,
            f"{format_size(memory.own_after_load)} of it not mapped; loading took "
            f"{memory.load_ratio:.0%} of the files' size at most",
        ),
        ("peak resident", memory.peak, cap),
        ("read for each token", memory.read_per_token, ""),
        (
            "cache for each token",
            memory.cache_per_token,
            f"every head's keys and values: {format_size(memory.cache_per_token_expanded)}, "
            f"{memory.cache_ratio:.1f} times as much",
        ),
    ]
    for name, size, note in rows:
        table.add_row(name, format_size(size), note)
    return table


def _flops(multiply_adds: float) -> str:
    return f"{2 * multiply_adds / 1e9:.0f} GFLOP/s"


def _table(*names: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number == 1 or name == "ratio" else "left")
    return table
