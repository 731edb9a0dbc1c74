"""Measuring one model: limits and rates alternate, so that a busy machine disturbs both."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from deepseek_vl_v2.kernels import library as kernels
from dvl2_cli.benchmarking.limits import ReadBandwidth, dense_peak, fastest
from dvl2_cli.benchmarking.result import BenchResult, Machine, Memory, Speeds
from dvl2_cli.benchmarking.work import (
    decoder_products,
    multiply_adds,
    tile_multiply_adds,
    tower_products,
)
from dvl2_cli.engine.local.decoder import Decoder
from dvl2_cli.engine.local.loading import LoadedModel, load_model
from dvl2_cli.planning.hardware import probe
from dvl2_cli.planning.size import parse_size
from dvl2_cli.planning.weights import weights_from_headers
from dvl2_cli.planning.working_memory import cache_bytes_per_token
from dvl2_cli.store.architecture import Architecture
from dvl2_cli.store.checkpoint import check_checkpoint
from dvl2_cli.store.resolve import folder_quant

_ROUNDS = 3
_TILES = 4
_CACHE_POSITIONS = 64
Say = Callable[[str], None]


def measure(
    folder: Path,
    name: str,
    *,
    prompt_tokens: int = 512,
    answer_tokens: int = 48,
    max_memory: str | None = None,
    threads: int | None = None,
    say: Say = lambda text: None,
) -> BenchResult:
    """Load the model in ``folder`` on the CPU and measure it.

    Args:
        folder: a checkpoint, released or quantised.
        name: for the table.
        prompt_tokens: length of the prompt for the prefill's rate.
        answer_tokens: tokens of each of three decoding rounds.
        max_memory: run under this hard cap, as "8GB".
        threads: CPU threads; None for one a core.
        say: is told what is being measured.

    Raises:
        ModelError: the folder holds no sound checkpoint.
        OutOfMemoryError: it does not fit.
    """
    info = check_checkpoint(folder)
    parts = info.architecture
    weights = weights_from_headers({key: item.nbytes for key, item in info.tensors.items()})
    hardware = probe(folder)
    torch.set_num_threads(threads or hardware.cores.value)
    _reset_peak()
    before = _status("VmRSS")
    say("loading")
    start = time.perf_counter()
    loaded = load_model(folder, threads=torch.get_num_threads(), max_memory=max_memory)
    load_seconds = time.perf_counter() - start
    after_load = _status("VmRSS")
    say("first token")
    first = _first_token_seconds(loaded)
    read_per_token = weights.read_per_token(parts.decoder)
    say("decoding")
    with torch.inference_mode():
        decode, bandwidth, python = _decode(loaded.decoder, answer_tokens, read_per_token)
        say("reading a prompt")
        prefill = _prefill(loaded, prompt_tokens)
        say("encoding tiles")
        tiles = _tiles(loaded, parts)
        peak = _status("VmHWM")
        say("dense peaks")
        dtype = torch.bfloat16
        decoder_work = decoder_products(parts.decoder)
        prefill_peak = dense_peak(decoder_work, prompt_tokens, dtype)
        tower_peak = dense_peak(tower_products(parts.vision), _TILES * parts.vision.patches, dtype)
    return BenchResult(
        model=name,
        quant=folder_quant(folder),
        machine=_machine(hardware.cpu.value, hardware.cores.value, hardware.ram_total.value),
        speeds=Speeds(
            load_seconds=load_seconds,
            first_token_seconds=first,
            decode_tokens=decode,
            decode_bytes=decode * read_per_token,
            read_bandwidth=bandwidth,
            prefill_tokens=prefill,
            prefill_multiply_adds=prefill * multiply_adds(decoder_work),
            prefill_peak=prefill_peak,
            tiles=tiles,
            tower_multiply_adds=tiles * tile_multiply_adds(parts),
            tower_peak=tower_peak,
            python_share=python,
        ),
        memory=Memory(
            weights=weights.total,
            before_load=before,
            after_load=after_load,
            peak=peak,
            read_per_token=read_per_token,
            cache_per_token=_cache_per_token(loaded.decoder),
            cache_per_token_expanded=cache_bytes_per_token(parts.decoder, expanded=True),
            cap=None if max_memory is None else parse_size(max_memory),
        ),
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
    )


def _first_token_seconds(loaded: LoadedModel) -> float:
    """From a picture of one tile and a short question to the first token's logits."""
    from PIL import Image

    start = time.perf_counter()
    picture = Image.effect_noise((384, 384), 64).convert("RGB")
    processor, model = loaded.processor, loaded.model
    grid = processor.grid(picture.size)
    with torch.inference_mode():
        tokens = model.encode_tiles(processor.pixels(picture, grid))
        features = model.assemble(tokens, grid.columns, grid.rows)
        question = model.embed(torch.tensor([[0, *range(5, 21)]]))
        prompt = torch.cat([question, features[None].to(question.dtype)], dim=1)
        loaded.decoder.prefill(prompt)
    seconds = time.perf_counter() - start
    loaded.decoder.crop(0)
    return seconds


def _decode(decoder: Decoder, tokens: int, read: int) -> tuple[float, float, float | None]:
    """Tokens per second, the bandwidth beside it, and the share of a step outside the kernels.

    Of several rounds the one with the middle ratio between the two is given.
    """
    reader = ReadBandwidth()
    timer = _KernelTimer(decoder)
    rounds = []
    for number in range(_ROUNDS + 1):
        bandwidth = reader.measure()
        decoder.crop(0)
        timer.seconds = 0.0
        token, start = 7 + number, time.perf_counter()
        for _ in range(tokens):
            token = int(decoder.step_many([token])[-1].argmax())
        seconds = time.perf_counter() - start
        bandwidth = statistics.mean((bandwidth, reader.measure()))
        rounds.append((tokens / seconds, bandwidth, 1 - timer.seconds / seconds))
    rounds = sorted(rounds[1:], key=lambda item: item[0] * read / item[1])
    rate, bandwidth, outside = rounds[len(rounds) // 2]
    return rate, bandwidth, outside if timer.works else None


def _prefill(loaded: LoadedModel, tokens: int) -> float:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(
        5, loaded.model.config.language.vocab_size, (1, tokens), generator=generator
    )
    states = loaded.model.embed(ids)

    def read() -> None:
        loaded.decoder.crop(0)
        loaded.decoder.prefill(states)

    return tokens / fastest(read, 1.0)


def _tiles(loaded: LoadedModel, parts: Architecture) -> float:
    side = parts.vision.image_size
    generator = torch.Generator().manual_seed(1)
    tiles = torch.rand(_TILES, 3, side, side, generator=generator).to(_tower_dtype(loaded))
    return _TILES / fastest(lambda: loaded.model.encode_tiles(tiles), 1.0)


def _tower_dtype(loaded: LoadedModel) -> torch.dtype:
    return loaded.model.image_newline.dtype


def _cache_per_token(decoder: Decoder) -> int:
    """Bytes that a position takes in the cache, from the cache itself."""
    size = getattr(decoder, "cache_bytes_per_token", None)
    if size is not None:
        return int(size)
    decoder.crop(0)
    decoder.step_many(list(range(5, 5 + _CACHE_POSITIONS)))
    layers: Any = decoder._cache.layers  # type: ignore[attr-defined]
    total = sum(layer.keys.nbytes + layer.values.nbytes for layer in layers)
    return int(total // _CACHE_POSITIONS)


class _KernelTimer:
    """Adds up the time that a native decoder spends inside its compiled step."""

    def __init__(self, decoder: Decoder) -> None:
        self.seconds = 0.0
        library = getattr(decoder, "_library", None)
        self.works = library is not None
        if library is not None:
            self._library = library
            decoder._library = self  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def dvl2_decoder_step(self, *arguments: Any) -> int:
        """The library's function, timed."""
        start = time.perf_counter()
        status = self._library.dvl2_decoder_step(*arguments)
        self.seconds += time.perf_counter() - start
        return int(status)


def _machine(cpu: str, cores: int, ram: int) -> Machine:
    versions = {name: version(name) for name in ("dvl2", "torch", "transformers")}
    return Machine(cpu, cores, torch.get_num_threads(), ram, kernels.kernel_name(), versions)


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status(key: str) -> int:
    """A size in /proc/self/status, bytes; without /proc the current resident size."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        import psutil

        return int(psutil.Process().memory_info().rss)
    line = next(line for line in text.splitlines() if line.startswith(key + ":"))
    return int(line.split()[1]) * 1024
