"""The benchmarks' metrics against the functions of the public harnesses, on random answers.

    pip download --no-deps lmms-eval ms-vlmeval -d FOLDER
    for wheel in FOLDER/*.whl; do unzip -q "$wheel" -d FOLDER; done
    python benchmarks/harness_metrics.py FOLDER [--pairs 20000]

The harnesses' own files are loaded, with stand-ins for what they import and do not need here.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

from dvl2_cli.evaluation.benchmarks.metrics.anls import best_anls
from dvl2_cli.evaluation.benchmarks.metrics.choice import chosen_option
from dvl2_cli.evaluation.benchmarks.metrics.contained import contains_one
from dvl2_cli.evaluation.benchmarks.metrics.relaxed import is_close_enough
from dvl2_cli.evaluation.benchmarks.metrics.vqa import agreement, normalised_answer
from dvl2_cli.tasks.grounding.overlap import iou

_STAND_INS = (
    "vlmeval", "vlmeval.smp", "vlmeval.smp.log", "lmms_eval", "lmms_eval.api", "lmms_eval.tasks",
    "lmms_eval.tasks._task_utils", "lmms_eval.tasks._task_utils.file_utils", "sacrebleu",
    "datasets", "loguru",
)  # fmt: skip
_CHARACTERS = "aAbB eE 19.,%-/'s?\n\t[]"
_WORDS = (
    "the a An none two ten dont Don't couldntve 1,000 3.5 u.s. (red) it's 5% 0 -4 12 A B C D Z hes "
    "yall'd've shedve ! @x x-y I'd've id've im ow'sat"
)


class Harness:
    """The functions of lmms-eval and VLMEvalKit."""

    def __init__(self, folder: Path) -> None:
        for name in _STAND_INS:
            sys.modules.setdefault(name, MagicMock())
        registry = ModuleType("lmms_eval.api.registry")
        # Its decorators leave the functions as they are.
        same: Callable[..., Any] = lambda *_, **__: lambda function: function  # noqa: E731
        registry.__dict__.update(register_metric=same, register_aggregation=same)
        sys.modules["lmms_eval.api.registry"] = registry
        lmms, vlmeval = folder / "lmms_eval", folder / "vlmeval"
        self.anls = _load(lmms / "api/metrics.py").anls
        self.normalise = _load(
            lmms / "tasks/_task_utils/vqa_eval_metric.py"
        ).EvalAIAnswerProcessor()
        self.relaxed = _load(lmms / "tasks/chartqa/utils.py").relaxed_correctness
        self.ocrbench = _load(lmms / "tasks/ocrbench/utils.py").ocrbench_process_results
        self.iou = _load(lmms / "tasks/refcoco/utils_rec.py").compute_iou
        self.relaxed_too = _load(vlmeval / "dataset/utils/vqa_eval.py").relaxed_correctness
        self.option = _load(vlmeval / "utils/matching_util.py").can_infer


def _load(path: Path) -> Any:
    spec = spec_from_file_location(f"harness_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not there")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(harness: Harness, rng: random.Random) -> Iterator[str]:
    """The names of the metrics that differ on one random case."""
    answer = _text(rng)
    references = [_text(rng) if rng.random() < 0.6 else f"{answer}x" for _ in range(3)]
    if abs(harness.anls(references, [answer])["anls"] - best_anls(references, answer)) > 1e-12:
        yield "anls"
    if harness.normalise(answer) != normalised_answer(answer):
        yield "EvalAI"
    people = [rng.choice([*references, answer]) for _ in range(10)]
    if abs(_agreement(harness, people, answer) - agreement(people, answer)) > 1e-12:
        yield "TextVQA"
    target, found = _values(rng) if rng.random() < 0.5 else (_text(rng), _text(rng))
    ours = is_close_enough(target, found)
    if harness.relaxed(found, target) != ours or harness.relaxed_too(target, found) != ours:
        yield "relaxed"
    asked = {"answer": references, "dataset": "IIIT5K", "question_type": "VQA"}
    scored = harness.ocrbench(asked, [answer])["ocrbench_accuracy"]["score"]
    if scored != contains_one(references, answer, formula=False):
        yield "OCRBench"
    left, right = _box(rng), _box(rng)
    if abs(harness.iou(left, right) - iou(left, right)) > 1e-12:
        yield "IoU"
    options = {letter: _text(rng) or "q" for letter in "ABCD"[: rng.randint(2, 4)]}
    says = rng.choice([_text(rng), "A", "B.", "(C)", "The answer is D", f"B {options['B']}"])
    theirs = harness.option(says, dict(options))
    if (theirs if theirs in options else None) != chosen_option(says, options):
        yield "choice"


def _agreement(harness: Harness, people: list[str], answer: str) -> float:
    """The formula of lmms-eval's task, over its normalisation."""
    found, wanted = harness.normalise(answer), [harness.normalise(text) for text in people]
    return statistics.mean(
        min(1, sum(text == found for j, text in enumerate(wanted) if j != i) / 3)
        for i in range(len(wanted))
    )


def _text(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return "".join(rng.choice(_CHARACTERS) for _ in range(rng.randint(0, 12)))
    return rng.choice([" ", "  ", "", " ."]).join(rng.choices(_WORDS.split(), k=rng.randint(0, 6)))


def _values(rng: random.Random) -> tuple[str, str]:
    """A number and one near it, either of them perhaps in percent."""
    value = rng.choice([rng.randint(-20, 20), round(rng.uniform(-5, 5), 2)])
    near = round(value * rng.uniform(0.93, 1.07), 2)
    return f"{value}{rng.choice(['', '%'])}", f"{near}{rng.choice(['', '%'])}"


def _box(rng: random.Random) -> tuple[float, float, float, float]:
    x, y = rng.uniform(0, 50), rng.uniform(0, 50)
    return (x, y, x + rng.uniform(1, 50), y + rng.uniform(1, 50))


def main() -> None:
    """Print how many random cases differ, by metric."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=20_000)
    arguments = parser.parse_args()
    harness, rng = Harness(arguments.folder), random.Random(1)  # noqa: S311
    found = Counter(name for _ in range(arguments.pairs) for name in differences(harness, rng))
    print(f"{arguments.pairs} cases, different: {dict(found) or 'none'}")


if __name__ == "__main__":
    main()
