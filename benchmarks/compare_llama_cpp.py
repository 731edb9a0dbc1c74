"""dvl2 and llama.cpp on random weights of one shape, in turns, in the same run.

    python benchmarks/compare_llama_cpp.py tiny FOLDER [--json FILE]

Weights are written to FOLDER where they are missing: a dvl2 int4 copy and a Q4_0 GGUF of the
same decoder. llama.cpp is a ``llama-bench`` on the PATH, else the package ``xllamacpp``:

    pip install gguf xllamacpp

xllamacpp's Linux wheel is built for AVX2; a llama.cpp that was compiled for this machine is
the harder opponent. Which one ran, and for which instructions, is part of the result.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from opponents import LlamaBench, Opponent, Work, Worker, run_dvl2, run_xllamacpp
from random_gguf import decoder_tensors, write_random_gguf

from dvl2_cli.files import atomic_write
from dvl2_cli.planning.released import NAMES, released_architecture, released_config

_Q4_0_BYTES = 18 / 32


def gguf_read_per_token(config: dict[str, Any]) -> int:
    """Bytes that llama.cpp reads for a token: every matrix once, of the experts the active ones."""
    active = config["num_experts_per_tok"] / config["n_routed_experts"]
    total = 0.0
    for tensor in decoder_tensors(config):
        if tensor.name != "token_embd.weight":
            size = math.prod(tensor.shape) * (_Q4_0_BYTES if tensor.quantised else 4)
            total += size * (active if "_exps." in tensor.name else 1)
    return int(total)


def compare(
    shape: str, folder: Path, work: Work, *, rounds: int, threads: int
) -> dict[str, Any] | None:
    """Both programs in turns; None where there is no llama.cpp."""
    from dvl2_cli.benchmarking.limits import ReadBandwidth
    from dvl2_cli.planning.hardware import probe
    from dvl2_cli.planning.weights import weights_from_headers
    from dvl2_cli.store.checkpoint import check_checkpoint

    copy, model = folder / shape, folder / f"{shape}.gguf"
    program = shutil.which("llama-bench")
    if program is None and not find_spec("xllamacpp"):
        return None
    _write_weights(shape, copy, model)
    opponents: list[Opponent] = [Worker(run_dvl2, copy, work, threads)]
    opponents.append(
        Worker(run_xllamacpp, model, work, threads)
        if program is None
        else LlamaBench(program, model, work, threads)
    )
    reader, measured = ReadBandwidth(), []
    for number in range(rounds + 1):
        bandwidth = [reader.measure()]
        pairs = {}
        # The first turn changes from round to round.
        for index in (0, 1) if number % 2 else (1, 0):
            pairs[index] = opponents[index].rates()
            bandwidth.append(reader.measure())
        measured.append(
            {"dvl2": pairs[0], "llama.cpp": pairs[1], "bandwidth": statistics.mean(bandwidth)}
        )
    for opponent in opponents:
        opponent.close()
    headers = check_checkpoint(copy).tensors
    weights = weights_from_headers({key: item.nbytes for key, item in headers.items()})
    hardware = probe(folder)
    result = {
        "schema": "dvl2.compare/1",
        "shape": shape,
        "machine": {"cpu": hardware.cpu.value, "cores": hardware.cores.value, "threads": threads},
        "dvl2": opponents[0].describe(),
        "llama.cpp": opponents[1].describe(),
        "prompt_tokens": work.prompt,
        "answer_tokens": work.answer,
        "read_per_token": {
            "dvl2": weights.read_per_token(released_architecture(shape).decoder),
            "llama.cpp": gguf_read_per_token(released_config(shape)["language_config"]),
        },
        # The first round met weights that nothing had touched.
        "rounds": measured[1:],
    }
    return {**result, **_summary(result)}


def _summary(result: dict[str, Any]) -> dict[str, Any]:
    rounds, sizes = result["rounds"], result["read_per_token"]
    summary: dict[str, Any] = {"median": {}, "ratios": {}}
    for index, name in enumerate(("prefill", "decode")):
        for program in ("dvl2", "llama.cpp"):
            rates = [item[program][index] for item in rounds]
            summary["median"].setdefault(program, {})[name] = statistics.median(rates)
        ratios = [item["dvl2"][index] / item["llama.cpp"][index] for item in rounds]
        summary["ratios"][f"{name}_dvl2_to_llama.cpp"] = statistics.median(ratios)
    for program in ("dvl2", "llama.cpp"):
        shares = [item[program][1] * sizes[program] / item["bandwidth"] for item in rounds]
        summary["ratios"][f"{program}_decode_to_read_bandwidth"] = statistics.median(shares)
    return summary


def _write_weights(shape: str, copy: Path, model: Path) -> None:
    from dvl2_cli.benchmarking.random_copy import write_random_copy
    from dvl2_cli.store.places import nano_folder

    if not (copy / "config.json").is_file():
        print(f"writing {copy}", file=sys.stderr)
        write_random_copy(shape, copy, companions=nano_folder())
    if not model.is_file():
        print(f"writing {model}", file=sys.stderr)
        partial = model.with_suffix(".partial")
        write_random_gguf(shape, partial)
        partial.replace(model)


def show(result: dict[str, Any]) -> None:
    """Write a result to stdout as a small table."""
    median, ratios = result["median"], result["ratios"]
    print(f"{result['shape']}, {result['llama.cpp']['program']}, {len(result['rounds'])} rounds")
    for name in ("prefill", "decode"):
        ours, theirs = median["dvl2"][name], median["llama.cpp"][name]
        ratio = ratios[f"{name}_dvl2_to_llama.cpp"]
        print(f"{name:8} dvl2 {ours:7.1f}  llama.cpp {theirs:7.1f} tokens/s  ratio {ratio:.2f}")
    for program in ("dvl2", "llama.cpp"):
        share = ratios[f"{program}_decode_to_read_bandwidth"]
        print(f"{program} decodes at {share:.0%} of the read bandwidth")


def main() -> None:
    """Parse the command line, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=NAMES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--answer-tokens", type=int, default=48)
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    from dvl2_cli.planning.hardware import probe

    arguments.folder.mkdir(parents=True, exist_ok=True)
    vocabulary = released_architecture(arguments.shape).decoder.vocab_size
    work = Work(arguments.prompt_tokens, arguments.answer_tokens, vocabulary)
    threads = arguments.threads or probe(arguments.folder).cores.value
    result = compare(
        arguments.shape, arguments.folder, work, rounds=arguments.rounds, threads=threads
    )
    if result is None:
        sys.exit("llama.cpp is not here: pip install gguf xllamacpp, or put llama-bench on PATH")
    show(result)
    if arguments.json:
        with atomic_write(arguments.json) as stream:
            stream.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
