"""A benchmark's rates beside their limits, as a picture."""

from __future__ import annotations

from pathlib import Path

from dvl2_cli.benchmarking.result import BenchResult
from dvl2_cli.files import atomic_write


def plot_result(result: BenchResult, path: Path) -> None:
    """Write ``path`` (PNG): three pairs of bars, measured and limit.

    Raises:
        OutputError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    speeds = result.speeds
    panels = [
        ("Decode", "GB/s of weights", 1e9, speeds.decode_bytes, speeds.read_bandwidth),
        ("Prefill", "GFLOP/s", 5e8, speeds.prefill_multiply_adds, speeds.prefill_peak),
        ("Vision tower", "GFLOP/s", 5e8, speeds.tower_multiply_adds, speeds.tower_peak),
    ]
    rates = (
        f"{speeds.decode_tokens:.1f} tokens/s",
        f"{speeds.prefill_tokens:.0f} tokens/s",
        f"{speeds.tiles:.2f} tiles/s",
    )
    figure, axes = pyplot.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
    for axis, (title, unit, scale, measured, limit), rate in zip(axes, panels, rates, strict=True):
        bars = axis.bar(["dvl2", "limit"], [measured / scale, limit / scale],
                        color=["#2a6f97", "#c9d6df"])  # fmt: skip
        axis.bar_label(bars, labels=[f"{measured / limit:.0%}", ""], padding=2)
        axis.set_title(f"{title}: {rate}", fontsize=10)
        axis.set_ylabel(unit)
        axis.margins(y=0.12)
        axis.spines[["top", "right"]].set_visible(False)
    machine = result.machine
    figure.suptitle(
        f"{result.model} {result.quant}, {machine.cpu}, {machine.threads} threads", fontsize=10
    )
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=120)
    pyplot.close(figure)
