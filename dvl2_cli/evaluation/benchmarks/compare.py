"""Two files of answers to one benchmark, compared question by question."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dvl2_cli.errors import InputError, UsageError
from dvl2_cli.evaluation.benchmarks.sets import SETS
from dvl2_cli.evaluation.benchmarks.tally import interval, mean_of_means
from dvl2_cli.results.benchmark import BenchmarkAnswer, BenchmarkComparison


@dataclass(slots=True)
class _Answered:
    """The questions of a unit that were answered, and the lowest score; None after an error."""

    group: str
    size: int
    score: float | None = 1.0
    ids: set[str] = field(default_factory=set)

    @property
    def whole_score(self) -> float | None:
        """The score, if every question of the unit was answered."""
        return self.score if len(self.ids) == self.size else None


@dataclass(frozen=True, slots=True)
class _File:
    benchmark: str
    units: dict[str, _Answered]


def compare_files(first: Path, second: Path) -> BenchmarkComparison:
    """What ``second`` gains on ``first``, over the questions that both have.

    Raises:
        InputError: a file is not one of ``dvl2 eval BENCHMARK --answers``.
        UsageError: they are of different sets, or share no question.
    """
    one, two = _read(first), _read(second)
    if one.benchmark != two.benchmark:
        raise UsageError(f"{first} is of {one.benchmark}, {second} of {two.benchmark}")
    benchmark = SETS[one.benchmark]
    pairs: dict[str, list[tuple[float, float]]] = {}
    for name in one.units.keys() & two.units.keys():
        left, right = one.units[name], two.units[name]
        scores = left.whole_score, right.whole_score
        if scores[0] is not None and scores[1] is not None:
            group = left.group if benchmark.mean_of_groups else ""
            pairs.setdefault(group, []).append((scores[0], scores[1]))
    if not pairs:
        raise UsageError(f"{first} and {second} share no question with a score")
    # Sorted, so that the resamples do not depend on the order of a set.
    strata = [np.array(sorted(found)) for _, found in sorted(pairs.items())]
    differences = [part[:, 1] - part[:, 0] for part in strata]
    low, high = interval(differences)
    every = np.concatenate(differences)
    scale = benchmark.scale
    return BenchmarkComparison(
        benchmark=benchmark.name,
        metric=benchmark.metric,
        n=len(every),
        first=scale * mean_of_means([part[:, 0] for part in strata]),
        second=scale * mean_of_means([part[:, 1] for part in strata]),
        difference=scale * mean_of_means(differences),
        low=scale * low,
        high=scale * high,
        scale=scale,
        better=int((every > 0).sum()),
        worse=int((every < 0).sum()),
        unpaired=len(one.units.keys() | two.units.keys()) - len(every),
    )


def _read(path: Path) -> _File:
    names: set[str] = set()
    units: dict[str, _Answered] = {}
    for number, row in _rows(path):
        try:
            names.add(row["benchmark"])
            unit = units.setdefault(row["unit"], _Answered(row["group"], row["unit_size"]))
            score = row["score"]
            if row["id"] in unit.ids:
                raise InputError(f"{path}, line {number}: the id {row['id']} is there twice")
            unit.ids.add(row["id"])
            if score is None or unit.score is None:
                unit.score = None
            else:
                unit.score = min(unit.score, float(score))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}, line {number}: a member is missing or wrong") from error
    if len(names) != 1 or not names <= SETS.keys():
        raise InputError(f"{path}: it holds the answers of {len(names)} benchmarks, not of one")
    return _File(names.pop(), units)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise InputError(f"{path}, line {number}: not JSON") from error
                if not isinstance(row, dict) or row.get("schema") != BenchmarkAnswer.schema:
                    raise InputError(
                        f"{path}, line {number}: not an answer to a benchmark",
                        "Compare files that dvl2 eval BENCHMARK --answers FILE wrote.",
                    )
                yield number, row
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
