from __future__ import annotations

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from deepseek_vl_v2.kernels import library as kernels
from dvl2_cli.benchmarking.answering import Answering
from dvl2_cli.benchmarking.measure import measure
from dvl2_cli.benchmarking.plot import plot_result
from dvl2_cli.benchmarking.repetition import lookup_gain
from dvl2_cli.commands.bench_table import render_bench
from dvl2_cli.engine.local.loading import load_model


@pytest.mark.slow
def test_everything_is_measured_beside_its_limit(copy: Path, tmp_path: Path) -> None:
    said: list[str] = []
    result = measure(copy, "a model", prompt_tokens=20, answer_tokens=8, say=said.append)
    plain = result.as_json()
    assert all(value > 0 for value in plain["ratios"].values()), plain["ratios"]
    speeds, memory = result.speeds, result.memory
    assert speeds.decode_bytes == pytest.approx(speeds.decode_tokens * memory.read_per_token)
    # 3 layers of 2 heads: keys of 16 + 8 and values of 16, against rank 32 + 8, padded to 48.
    assert memory.cache_per_token > 0
    if kernels.available():
        assert speeds.outside_kernels is not None
        assert 0 < speeds.outside_kernels < 1
    assert memory.before_load < memory.load_peak <= memory.peak
    assert said[0] == "loading"
    console = Console(file=StringIO(), width=120)
    render_bench(result, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for word in ("decode", "prefill", "vision tower", "drafts", "first token", "cache"):
        assert word in text
    plot_result(result, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_answer_loop_meets_other_tokens_every_time(copy: Path) -> None:
    loaded = load_model(copy)
    decoder = loaded.decoder
    answering = Answering(loaded)
    ids = [answering.answer(12)[0] for _ in range(2)]
    answering.close()
    assert loaded.decoder is decoder
    assert all(len(set(answer)) > 9 for answer in ids)
    assert ids[0] != ids[1]
    assert not any(loaded.processor.tokens.eos in answer for answer in ids)


class _Cache:
    def __init__(self) -> None:
        self.length = 0

    def crop(self, length: int) -> None:
        self.length = min(self.length, length)


class _Counting:
    """A decoder whose step takes as long whatever the number of tokens."""

    def __init__(self) -> None:
        self.clock = 0.0

    def open(self, capacity: int) -> _Cache:
        return _Cache()

    def step(self, parts: list[tuple[_Cache, list[int]]]) -> list[torch.Tensor]:
        self.clock += 1.0
        for cache, token_ids in parts:
            cache.length += len(token_ids)
        return [torch.zeros(len(token_ids), 4) for _, token_ids in parts]


def test_drafts_of_a_table_are_mostly_right(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = _Counting()
    monkeypatch.setattr("time.perf_counter", lambda: decoder.clock)
    loaded: Any = SimpleNamespace(
        decoder=decoder, processor=load_model(copy).processor, context_length=4096
    )
    assert lookup_gain(loaded) > 1.5


@pytest.mark.slow
def test_under_a_cap_the_peak_stays_below_it_and_no_table_is_written(copy: Path) -> None:
    result = measure(copy, "a model", prompt_tokens=17, answer_tokens=2, max_memory="3GB")
    assert result.memory.cap == 3_000_000_000
    assert result.memory.peak <= result.memory.cap
    assert result.speeds.lookup_gain is None
