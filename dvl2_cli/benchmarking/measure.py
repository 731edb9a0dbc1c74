"""Measuring one model: limits and rates alternate, so that a busy machine disturbs both."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from deepseek_vl_v2.format.architecture import Architecture
from deepseek_vl_v2.kernels import library as kernels
from dvl2_cli.benchmarking.answering import Answering
from dvl2_cli.benchmarking.limits import ReadBandwidth, beside, peaks
from dvl2_cli.benchmarking.repetition import lookup_gain
from dvl2_cli.benchmarking.resident import (
    reset_peak,
    resident,
    resident_own,
    resident_peak,
)
from dvl2_cli.benchmarking.result import BenchResult, Machine, Memory, Speeds
from dvl2_cli.benchmarking.work import (
    decoder_products,
    multiply_adds,
    tile_multiply_adds,
    tower_products,
)
from dvl2_cli.engine.local.decoder import OneSequence
from dvl2_cli.engine.local.loading import LoadedModel, load_model
from dvl2_cli.engine.local.memory_cap import check_fits, hold_cap
from dvl2_cli.planning.hardware import probe
from dvl2_cli.planning.weights import weights_held
from dvl2_cli.planning.working_memory import cache_bytes_per_token
from dvl2_cli.sizes import parse_size
from dvl2_cli.store.checkpoint import check_checkpoint
from dvl2_cli.store.resolve import folder_quant

_TILES = 4
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
    hardware = probe(folder)
    cap = None if max_memory is None else parse_size(max_memory)
    weights = weights_held(info, "cpu", hardware, cap)
    torch.set_num_threads(threads or hardware.cores.value)
    # Here, not later: a cap on memory should know of its buffer before it is spent otherwise.
    reader = ReadBandwidth()
    reset_peak()
    before = resident()
    say("loading")
    start = time.perf_counter()
    check_fits(info, "cpu", max_memory, hardware)
    loaded = load_model(folder, threads=torch.get_num_threads(), hardware=hardware)
    if max_memory is not None:
        # What is given back leaves the page cache too, as on a machine without more memory.
        hold_cap(loaded.model, max_memory, drop_cache=True)
    load_seconds = time.perf_counter() - start
    after_load, own, load_peak = resident(), resident_own(), resident_peak()
    read_per_token = weights.read_per_token(parts.decoder)
    say("first token")
    answering = Answering(loaded)
    first = answering.first_token_seconds(seed=0)
    warm_first = answering.first_token_seconds(seed=1)
    say("decoding")
    decoding = answering.decode(answer_tokens, read_per_token, reader)
    answering.close()
    # Under a cap each step may come from the disk: a table would take very long.
    gain = None
    if max_memory is None:
        say("writing a table")
        gain = lookup_gain(loaded)
    decoder_work, tower_work = decoder_products(parts.decoder), tower_products(parts.vision)
    with torch.inference_mode():
        say("reading a prompt")
        read_prompt = _prefill(loaded, prompt_tokens)
        prefill = beside(
            lambda: prompt_tokens / _seconds(read_prompt),
            lambda: peaks(decoder_work, prompt_tokens).best,
        )
        say("encoding tiles")
        encode = _tiles(loaded, parts)
        tiles = beside(
            lambda: _TILES / _seconds(encode),
            lambda: peaks(tower_work, _TILES * parts.vision.patches).best,
        )
        found_peaks = peaks(tower_work, _TILES * parts.vision.patches)
    peak = resident_peak()
    return BenchResult(
        model=name,
        quant=folder_quant(folder),
        machine=_machine(hardware.cpu.value, hardware.cores.value, hardware.ram_total.value),
        speeds=Speeds(
            load_seconds=load_seconds,
            first_token_seconds=first,
            warm_first_token_seconds=warm_first,
            decode_tokens=decoding.tokens,
            decode_bytes=decoding.tokens * read_per_token,
            read_bandwidth=decoding.bandwidth,
            prefill_tokens=prefill.rate,
            prefill_multiply_adds=prefill.rate * multiply_adds(decoder_work),
            prefill_peak=prefill.limit,
            tiles=tiles.rate,
            tower_multiply_adds=tiles.rate * tile_multiply_adds(parts),
            tower_peak=tiles.limit,
            outside_kernels=decoding.outside,
            lookup_gain=gain,
        ),
        memory=Memory(
            weights=weights.total,
            before_load=before,
            after_load=after_load,
            own_after_load=own,
            load_peak=load_peak,
            peak=peak,
            read_per_token=read_per_token,
            cache_per_token=loaded.decoder.cache_bytes_per_token,
            cache_per_token_expanded=cache_bytes_per_token(parts.decoder, expanded=True),
            cap=cap,
        ),
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
        peaks=found_peaks,
    )


def _prefill(loaded: LoadedModel, tokens: int) -> Callable[[], object]:
    """Reads the same prompt anew with every call."""
    size = loaded.model.config.language.vocab_size
    ids = torch.randint(5, size, (1, tokens), generator=torch.Generator().manual_seed(1))
    states = loaded.model.embed(ids)
    sequence = OneSequence(loaded.decoder, tokens)

    def read() -> None:
        sequence.crop(0)
        sequence.prefill(states)

    read()  # weights that nothing has touched yet are met here
    return read


def _tiles(loaded: LoadedModel, parts: Architecture) -> Callable[[], object]:
    """Encodes the same tiles with every call."""
    side = parts.vision.image_size
    generator = torch.Generator().manual_seed(1)
    tiles = torch.rand(_TILES, 3, side, side, generator=generator).to(_tower_dtype(loaded))
    loaded.model.encode_tiles(tiles)
    return lambda: loaded.model.encode_tiles(tiles)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _tower_dtype(loaded: LoadedModel) -> torch.dtype:
    return loaded.model.image_newline.dtype


def _machine(cpu: str, cores: int, ram: int) -> Machine:
    versions = {name: version(name) for name in ("dvl2", "torch", "transformers")}
    return Machine(cpu, cores, torch.get_num_threads(), ram, kernels.kernel_name(), versions)
