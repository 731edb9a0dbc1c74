"""Under which probability the answers of nano are more often wrong than right.

``python -m nano_lab calibrate FOLDER`` asks the model in FOLDER about pictures of the
training split, which no suite is measured on, and writes what it finds into the folder: its
doubtful answers then carry a warning (see ``results.confidence``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from dvl2_cli.engine.engine import Engine
from dvl2_cli.engine.opening import open_local_engine
from dvl2_cli.engine.session import Session
from dvl2_cli.errors import ModelError
from dvl2_cli.evaluation.item import ItemResult
from dvl2_cli.evaluation.runner import request_for
from dvl2_cli.evaluation.scoring import score
from dvl2_cli.settings import Settings
from dvl2_cli.store.policy import read_policy, write_policy
from dvl2_cli.tasks.context import TaskContext
from nano_lab.evaluation.nano_suite import PARTS, part_items

# Of captions and boxes the probability does not tell the right from the wrong.
CALIBRATED = ("text-tile", "invoice-fields", "vqa")
ITEMS = 60
MAX_ERRORS, MIN_SCORE = 0.1, 0.9


def is_right(outcome: ItemResult) -> bool:
    """Whether a user would call it right: a tenth of the characters may be wrong."""
    if outcome.item.metric == "cer":
        return outcome.score <= MAX_ERRORS
    return outcome.score >= MIN_SCORE


def threshold(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Where most wrong probabilities are below and few right ones (Youden's J, 1950).

    Args:
        right: of right answers.
        wrong: of wrong answers.

    Returns:
        The middle between two of them; 0 where none tells wrong from right.
    """
    values = sorted({*right, *wrong})
    if not right or not wrong or len(values) < 2:
        return 0.0

    def gain(value: float) -> float:
        return _share_below(value, wrong) - _share_below(value, right)

    best = max(((low + high) / 2 for low, high in pairwise(values)), key=gain)
    return best if gain(best) > 0 else 0.0


def _share_below(value: float, probabilities: Sequence[float]) -> float:
    return sum(p < value for p in probabilities) / len(probabilities)


def answers(engine: Engine) -> Iterator[tuple[float, bool]]:
    """The probability of every answer, and whether it was right."""
    for part in PARTS:
        if part.name in CALIBRATED:
            for item in part_items(part, ITEMS, "train"):
                finished = TaskContext(engine).answer(request_for(item))
                probability = finished.confidence.mean_probability
                if probability is not None:
                    yield probability, is_right(score(item, finished, 0.0))


@dataclass(frozen=True, slots=True)
class Calibration:
    """The threshold, and the probabilities of right and wrong answers that it is made of."""

    threshold: float
    right: tuple[float, ...]
    wrong: tuple[float, ...]

    @property
    def text(self) -> str:
        """One line for people."""
        flagged = f"{_share_below(self.threshold, self.wrong):.0%} of {len(self.wrong)} wrong"
        spared = f"{_share_below(self.threshold, self.right):.0%} of {len(self.right)} right"
        return f"{self.threshold:.3f}: below it are {flagged} answers, and {spared} ones"


def calibrate(folder: Path) -> Calibration:
    """Measure, write the threshold into ``folder``, and return it.

    Raises:
        ModelError: there is no model in ``folder``, or it has no statistics of its pictures.
    """
    from dvl2_cli.engine.local.statistics import load_statistics, save_statistics

    statistics = load_statistics(folder)
    if statistics is None:
        raise ModelError(f"{folder} has no statistics of its pictures")
    engine = open_local_engine(Session(settings=Settings(model=str(folder), device="cpu")))
    found = list(answers(engine))
    engine.close()
    right, wrong = ([p for p, good in found if good is wanted] for wanted in (True, False))
    low = threshold(right, wrong)
    save_statistics(folder, replace(statistics, probability=low))
    doubt = -math.log(low) if 0 < low < 1 else None
    write_policy(folder, replace(read_policy(folder), doubt_threshold=doubt))
    return Calibration(low, tuple(right), tuple(wrong))
