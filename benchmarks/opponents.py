"""dvl2 and llama.cpp, each with its weights loaded and idle until it is asked for a round."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

_FIRST_WORD = 300  # special tokens and single bytes come before it


class Work:
    """What both do in a round: read a prompt of random tokens, and answer greedily."""

    def __init__(self, prompt: int, answer: int, vocabulary: int) -> None:
        self.prompt, self.answer = prompt, answer
        self._vocabulary = vocabulary

    def prompts(self) -> Callable[[], list[int]]:
        """Gives another prompt at every call; the same ones in every process."""
        generator = random.Random(0)  # noqa: S311
        words = range(_FIRST_WORD, self._vocabulary)
        return lambda: generator.choices(words, k=self.prompt)


class Opponent(Protocol):
    """One of the two programs, with its weights loaded."""

    def describe(self) -> dict[str, Any]:
        """What runs."""

    def rates(self) -> tuple[float, float]:
        """Tokens per second of one prompt, and of the answer after it."""

    def close(self) -> None:
        """End it."""


class Worker:
    """A program in a process of its own, which works only when it is asked to."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._description: dict[str, Any] = self._pipe.recv()

    def describe(self) -> dict[str, Any]:
        """What runs."""
        return self._description

    def rates(self) -> tuple[float, float]:
        """Tokens per second of one prompt, and of the answer after it."""
        self._pipe.send("go")
        prefill, decode = self._pipe.recv()
        return prefill, decode

    def close(self) -> None:
        """End it."""
        self._pipe.send("end")
        self._process.join()


class LlamaBench:
    """llama.cpp's own benchmark; it loads the weights anew for every round."""

    def __init__(self, program: str, model: Path, work: Work, threads: int) -> None:
        self._command = [program, "-m", str(model), "-t", str(threads), "-r", "1", "-o", "json"]
        self._command += ["-p", str(work.prompt), "-n", str(work.answer)]
        self._description: dict[str, Any] = {"program": program}

    def describe(self) -> dict[str, Any]:
        """What runs."""
        return self._description

    def rates(self) -> tuple[float, float]:
        """Tokens per second of one prompt, and of an answer."""
        done = subprocess.run(self._command, capture_output=True, text=True, check=True)  # noqa: S603
        prompt, answer = json.loads(done.stdout)
        keys = ("build_commit", "build_number", "cpu_info", "backends")
        self._description |= {key: prompt[key] for key in keys if key in prompt}
        return prompt["avg_ts"], answer["avg_ts"]

    def close(self) -> None:
        """Nothing runs between rounds."""


def run_dvl2(pipe: Connection, folder: Path, work: Work, threads: int) -> None:
    """The process that runs dvl2."""
    import torch

    from deepseek_vl_v2.kernels import library as kernels
    from dvl2_cli.engine.local.decoder import OneSequence
    from dvl2_cli.engine.local.loading import load_model

    loaded = load_model(folder, threads=threads)
    decoder = OneSequence(loaded.decoder, work.prompt + work.answer)
    draw = work.prompts()

    def rates() -> tuple[float, float]:
        states = loaded.model.embed(torch.tensor([draw()]))
        decoder.crop(0)
        start = time.perf_counter()
        token = int(decoder.prefill(states).argmax())
        prefilled = time.perf_counter()
        for _ in range(work.answer):
            token = int(decoder.verify([token])[0].argmax())
        end = time.perf_counter()
        return work.prompt / (prefilled - start), work.answer / (end - prefilled)

    with torch.inference_mode():
        _serve(pipe, {"program": "dvl2", "kernels": kernels.kernel_name()}, rates)


def run_xllamacpp(pipe: Connection, model: Path, work: Work, threads: int) -> None:
    """The process that runs llama.cpp's server without its socket."""
    llama: Any = import_module("xllamacpp")
    settings = llama.CommonParams()
    settings.model.path = str(model)
    settings.n_ctx = work.prompt + work.answer + 64
    settings.n_parallel = 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.fit_params = settings.ui = False
    settings.cache_ram_mib = 0
    settings.verbosity = 0
    server, draw = llama.Server(settings), work.prompts()

    def rates() -> tuple[float, float]:
        request = {"prompt": draw(), "max_tokens": work.answer + 1, "ignore_eos": True,
                   "temperature": 0, "samplers": ["top_k"], "top_k": 1,
                   "cache_prompt": False}  # fmt: skip
        timings = server.handle_completions(request)["timings"]
        assert timings["predicted_n"] == work.answer + 1  # noqa: S101
        assert timings["prompt_n"] == work.prompt  # noqa: S101
        # The first token of an answer comes with the prompt.
        return timings["prompt_per_second"], work.answer / timings["predicted_ms"] * 1e3

    description = {
        "program": f"xllamacpp {llama.__version__}",
        "cpu": llama.get_system_info().strip(" |"),
        **llama.BUILD_INFO,
    }
    _serve(pipe, description, rates)


def _serve(
    pipe: Connection, description: dict[str, Any], rates: Callable[[], tuple[float, float]]
) -> None:
    pipe.send(description)
    while pipe.recv() == "go":
        pipe.send(rates())
