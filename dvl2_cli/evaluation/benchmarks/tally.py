"""Scores of single questions to the score of a set, with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dvl2_cli.results.benchmark import BenchmarkAnswer, BenchmarkScore, PaperFigures

if TYPE_CHECKING:
    from dvl2_cli.evaluation.benchmarks.item import Benchmark
    from dvl2_cli.results.envelope import ModelRecord

RESAMPLES = 2000
_SEED = 20261128

Scores = np.ndarray  # float64, 0..1, one a unit


@dataclass(slots=True)
class Unit:
    """Questions that count together: their lowest score counts, once all are there."""

    group: str
    score: float = 1.0
    asked: int = 0
    failed: bool = False


@dataclass(slots=True)
class Tally:
    """The units of a run.

    Attributes:
        benchmark: the set.
        sizes: unit -> its number of questions.
        units: what is known of each.
    """

    benchmark: Benchmark
    sizes: Counter[str]
    units: dict[str, Unit] = field(default_factory=dict)

    def add(self, answer: BenchmarkAnswer) -> None:
        """Count an answer, or that there is none."""
        unit = self.units.setdefault(answer.unit, Unit(answer.group))
        unit.asked += 1
        if answer.score is None:
            unit.failed = True
        else:
            unit.score = min(unit.score, answer.score)

    @property
    def failed(self) -> int:
        """Units with a question that could not be asked."""
        return sum(unit.failed for unit in self.units.values())

    def by_group(self) -> dict[str, Scores]:
        """Group -> scores of its complete units, by name."""
        found: dict[str, list[float]] = {}
        for name, unit in self.units.items():
            if not unit.failed and unit.asked == self.sizes[name]:
                found.setdefault(unit.group, []).append(unit.score)
        return {group: np.array(found[group]) for group in sorted(found)}

    def scores(self, model: ModelRecord, paper: PaperFigures | None) -> list[BenchmarkScore]:
        """The score of the set and, of several groups, each one's; none if nothing is complete."""
        groups = self.by_group()
        if not groups:
            return []
        strata = list(groups.values())
        if not self.benchmark.mean_of_groups:
            strata = [np.concatenate(strata)]
        rows = [self._score(None, strata, model, paper)]
        if len(groups) > 1:
            rows += [self._score(name, [part], model, None) for name, part in groups.items()]
        return rows

    def _score(
        self,
        group: str | None,
        strata: Sequence[Scores],
        model: ModelRecord,
        paper: PaperFigures | None,
    ) -> BenchmarkScore:
        # A group's score is a share; only the whole set is counted to 1,000.
        scale = self.benchmark.scale if group is None else 100
        low, high = interval(strata)
        failed = [u for u in self.units.values() if u.failed and group in (None, u.group)]
        return BenchmarkScore(
            benchmark=self.benchmark.name,
            group=group,
            metric=self.benchmark.metric,
            score=scale * mean_of_means(strata),
            low=scale * low,
            high=scale * high,
            scale=scale,
            n=sum(map(len, strata)),
            points=float(sum(part.sum() for part in strata)),
            failed=len(failed),
            model=model,
            paper=paper,
        )


def mean_of_means(strata: Sequence[Scores]) -> float:
    """The mean of the parts' means; of one part its mean."""
    return float(np.mean([part.mean() for part in strata]))


def interval(strata: Sequence[Scores]) -> tuple[float, float]:
    """The 95 % interval of `mean_of_means`, each part resampled by itself; the same every time."""
    generator = np.random.default_rng(_SEED)
    # One resample at a time: all at once, 100,000 questions would take gigabytes.
    means = [
        mean_of_means([part[generator.integers(0, len(part), len(part))] for part in strata])
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
