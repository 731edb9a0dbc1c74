"""What ``dvl2 eval BENCHMARK`` prints and writes."""

from __future__ import annotations

from dataclasses import dataclass

from dvl2_cli.errors import Dvl2Error
from dvl2_cli.results.envelope import ModelRecord
from dvl2_cli.row import JsonRow
from dvl2_cli.units import Count, Positive, Seconds, Share


@dataclass(frozen=True, slots=True)
class BenchmarkAnswer(JsonRow):
    """One question of a benchmark, with its answer and score.

    ``row`` counts the rows of all files. ``unit`` names ``unit_size`` questions that count
    together.
    ``prediction`` is what of the answer was compared: a letter, a box in pixels, its text without
    full stops at the end; None where there was none. With ``error`` the question was not asked,
    and has no score.
    """

    schema = "dvl2.eval.benchmark-answer/1"
    heading = "One line of the file of dvl2 eval BENCHMARK --answers"

    benchmark: str
    id: str
    unit: str
    unit_size: Positive
    group: str
    row: Positive
    prompt: str
    references: tuple[str, ...]
    model: ModelRecord
    answer: str | None = None
    prediction: str | None = None
    score: Share | None = None
    seconds: Seconds | None = None
    tokens: Count | None = None
    finish_reason: str | None = None
    error: Dvl2Error | None = None


@dataclass(frozen=True, slots=True)
class PaperFigures:
    """The paper's figures for the three sizes, None where they are not known."""

    tiny: float | None
    small: float | None
    large: float | None


@dataclass(frozen=True, slots=True)
class BenchmarkScore(JsonRow):
    """The score of a benchmark, or of one group of its questions.

    ``score`` is on a scale of 0 to ``scale``; ``low`` and ``high`` bound its 95 % interval
    (percentile bootstrap over the questions). ``points`` is the sum of the ``n`` questions' scores.
    ``failed`` questions could not be asked, and are left out.
    """

    schema = "dvl2.eval.benchmark/1"
    heading = "One line of dvl2 eval BENCHMARK --json"

    benchmark: str
    group: str | None
    metric: str
    score: float
    low: float
    high: float
    scale: Positive
    n: Count
    points: float
    failed: Count
    model: ModelRecord
    paper: PaperFigures | None


@dataclass(frozen=True, slots=True)
class BenchmarkComparison(JsonRow):
    """Two runs of a benchmark, compared question by question.

    ``difference`` is ``second`` minus ``first``; ``low`` and ``high`` bound its 95 % interval
    (bootstrap over the pairs). ``unpaired`` questions have a score in one run only.
    """

    schema = "dvl2.eval.comparison/1"
    heading = "The line of dvl2 eval --compare --json"

    benchmark: str
    metric: str
    n: Count
    first: float
    second: float
    difference: float
    low: float
    high: float
    scale: Positive
    better: Count
    worse: Count
    unpaired: Count
