"""Each set: the exact words that it asks, and the score of hand-made rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dvl2_cli.commands.eval import _BENCHMARKS
from dvl2_cli.evaluation.benchmarks.asking import ask_all, greedy
from dvl2_cli.evaluation.benchmarks.files import open_files
from dvl2_cli.evaluation.benchmarks.plan import make_plan
from dvl2_cli.evaluation.benchmarks.sets import SETS
from dvl2_cli.evaluation.benchmarks.tally import Tally, interval
from dvl2_cli.results.benchmark import BenchmarkAnswer, BenchmarkScore
from dvl2_cli.tasks.context import TaskContext
from tests.evaluation.benchmarks.files import as_base64, picture, png, write_parquet, write_tsv
from tests.fakes import Answer, FakeEngine

IMAGE = as_base64(png(200, 100))
Ran = tuple[list[BenchmarkAnswer], list[BenchmarkScore], FakeEngine]


def ran(name: str, path: Path, answer: Answer) -> Ran:
    """The answers, the scores and the engine of a run."""
    plan = make_plan(SETS[name], open_files([path], SETS[name]))
    engine = FakeEngine(answer)
    context = TaskContext(engine, greedy(TaskContext(engine).defaults))
    tally = Tally(SETS[name], plan.sizes)
    answers = list(ask_all(context, plan))
    for found in answers:
        tally.add(found)
    return answers, tally.scores(context.model, None), engine


def test_the_command_names_all_sets() -> None:
    assert tuple(SETS) == _BENCHMARKS


def test_chartqa_is_the_mean_of_its_halves(tmp_path: Path) -> None:
    def row(n: int, kind: str) -> dict[str, Any]:
        return {"image": picture(), "question": f"Q{n}", "answer": "20", "type": kind}

    rows = [row(1, "human_test"), row(2, "augmented_test"), row(3, "augmented_test")]
    path = write_parquet(tmp_path / "a.parquet", rows)
    answers, scores, engine = ran(
        "chartqa", path, lambda r: "30." if "Q3" in r.messages[0].content else " 20.5."
    )
    assert [answer.score for answer in answers] == [1, 1, 0]
    assert answers[0].prompt == ("<image>\nQ1\nAnswer the question using a single word or phrase.")
    assert [(s.group, s.score, s.n) for s in scores] == [
        (None, 75, 3), ("augmented", 50, 2), ("human", 100, 1),
    ]  # fmt: skip
    assert all(request.sampling.temperature == 0 for request in engine.requests)
    assert not any(request.loop_guard for request in engine.requests)


def test_textvqa_agrees_with_ten_people(tmp_path: Path) -> None:
    row = {"image": picture(), "question": "Q?", "answers": ["Yes"] * 2 + ["no"] * 8}
    path = write_parquet(tmp_path / "a.parquet", [row])
    answers, scores, _ = ran("textvqa", path, "yes.")
    assert answers[0].score == pytest.approx(0.6)
    assert scores[0].score == pytest.approx(60)


def test_ocrbench_asks_barely_and_counts_to_1000(tmp_path: Path) -> None:
    formula = "Handwritten Mathematical Expression Recognition"
    rows = [
        {"index": 1, "image": IMAGE, "question": "Read it.", "answer": "['CENTRE']",
         "category": "Regular Text Recognition"},
        {"index": 2, "image": IMAGE, "question": "Read it.", "answer": "['x ^ 2']",
         "category": formula},
    ]  # fmt: skip
    path = write_tsv(tmp_path / "a.tsv", rows)
    answers, scores, _ = ran("ocrbench", path, "the centre: X^2")
    assert answers[0].prompt == "<image>\nRead it."
    # The formula has another case.
    assert [answer.score for answer in answers] == [1, 0]
    assert (scores[0].score, scores[0].scale, scores[0].points) == (500, 1000, 1)
    assert {s.group: s.points for s in scores[1:]} == {"Regular Text Recognition": 1, formula: 0}


def mmbench_row(index: int, answer: str, *options: str, **more: Any) -> dict[str, Any]:
    row = {"index": index, "image": IMAGE, "question": "Which?", "hint": "", "answer": answer}
    return {**row, **dict(zip("ABCD", (*options, "", "")[:4], strict=False)), **more}


def test_mmbench_rotates_and_wants_every_rotation(tmp_path: Path) -> None:
    rows = [
        mmbench_row(7, "B", "red", "blue", "green", hint="Look."),
        mmbench_row(8, "A", "red", "blue"),
    ]
    path = write_tsv(tmp_path / "a.tsv", rows)
    # Right in every rotation of both, and always "A".
    for answer, hits in (("blue", [True, False]), ("A", [False, False])):
        answers, scores, _ = ran("mmbench", path, answer)
        assert [a.id for a in answers] == ["7", "1000007", "2000007", "8", "1000008"]
        assert (scores[0].n, scores[0].points) == (2, sum(hits))
    assert answers[0].prompt == (
        "<image>\nHint: Look.\nQuestion: Which?\nOptions:\nA. red\nB. blue\nC. green\n"
        "Please select the correct answer from the options above. \n"
    )
    assert [a.references for a in answers[:3]] == [("B", "blue"), ("C", "blue"), ("A", "blue")]


def test_mmbench_takes_the_rotations_of_a_file_as_they_are(tmp_path: Path) -> None:
    rows = [
        mmbench_row(7, "B", "red", "blue"),
        mmbench_row(9, "A", "red", "blue"),
        mmbench_row(1_000_007, "A", "blue", "red", image="7"),
    ]
    path = write_tsv(tmp_path / "a.tsv", rows)
    answers, scores, _ = ran("mmbench", path, "blue")
    assert [(a.id, a.unit, a.unit_size) for a in answers] == [
        ("7", "7", 2), ("9", "9", 1), ("1000007", "7", 2),
    ]  # fmt: skip
    assert (scores[0].n, scores[0].points) == (2, 1)


def test_mmmu_shows_pictures_where_they_are_named_and_the_first_twice_as_large(
    tmp_path: Path,
) -> None:
    row = {
        "id": "validation_Art_1",
        "question": "Compare <image 2> with <image 1>, not <image 2>.",
        "options": "['the first', '<image 1>']",
        "answer": "B",
        "question_type": "multiple-choice",
        "image_1": picture(png(30, 10)),
        "image_2": picture(png(40, 10)),
    }
    dev = {**row, "id": "dev_Art_1"}
    path = write_parquet(tmp_path / "a.parquet", [row, dev])
    answers, scores, engine = ran("mmmu", path, "(B)")
    assert [image.size for image in engine.requests[0].messages[0].images] == [
        (80, 20), (30, 10), (40, 10), (30, 10),
    ]  # fmt: skip
    assert answers[0].prompt == (
        "<image><image><image><image>\n"
        " Compare <image 1> with <image 2>, not <image 3>.\n"
        "A. the first\nB. <image 4>\n"
        "Answer with the option's letter from the given choices directly. "
        "Answer the question using a single word or phrase.\n \n"
    )
    assert [(a.id, a.group, a.prediction, a.score) for a in answers] == [
        ("validation_Art_1", "Art", "B", 1.0)
    ]
    assert scores[0].n == 1


@pytest.mark.parametrize(
    ("answer", "score"), [("It is 3.5 m", 1), ("3.4", 0), ("A", 0), ("so " * 20 + "3.5", 0)]
)
def test_open_questions_of_mmmu(tmp_path: Path, answer: str, score: int) -> None:
    row = {"index": 4, "image": IMAGE, "question": "How long is <image 1>?", "A": "", "B": "",
           "answer": "3.5", "category": "Physics"}  # fmt: skip
    answers, _, _ = ran("mmmu", write_tsv(tmp_path / "a.tsv", [row]), answer)
    assert answers[0].prompt == "<image>\n How long is <image 1>?\n"
    assert answers[0].score == score


@pytest.mark.parametrize(
    ("answer", "score", "box"),
    [
        # 999 is the far side: 200 x 100 pixels, wanted 50..100 x 20..60.
        ("[[250, 200, 500, 600]]", 1, "[50.05, 20.02, 100.1, 60.06]"),
        # The first box counts.
        ("[[0, 0, 9, 9], [250, 200, 500, 600]]", 0, "[0, 0, 1.8, 0.9]"),
        # Read as pixels, this would be right.
        ("[[50, 20, 100, 60]]", 0, "[10.01, 2, 20.02, 6.01]"),
        ("", 0, None),
    ],
)  # fmt: skip
def test_refcoco_compares_pixels(tmp_path: Path, answer: str, score: int, box: str | None) -> None:
    row = {"question_id": "9", "image": picture(png(200, 100)), "bbox": [50.0, 20.0, 50.0, 40.0],
           "answer": ["the cup", "left cup"]}  # fmt: skip
    path = write_parquet(tmp_path / "a.parquet", [row])
    tagged = f"<|ref|>it<|/ref|><|det|>{answer}<|/det|>" if answer else "nowhere"
    answers, scores, _ = ran("refcoco", path, tagged)
    assert [a.prompt for a in answers] == [
        "<image>\n<|ref|>the cup<|/ref|>.", "<image>\n<|ref|>left cup<|/ref|>.",
    ]  # fmt: skip
    assert [(a.id, a.score, a.prediction) for a in answers] == [
        ("9/1", score, box), ("9/2", score, box),
    ]  # fmt: skip
    assert scores[0].n == 2


def test_a_question_that_cannot_be_asked_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        {"image": picture(data), "question": "Q?", "answers": ["a"]}
        for data in (png(), b"no picture at all", png())
    ]
    path = write_parquet(tmp_path / "a.parquet", rows)
    answers, scores, engine = ran("docvqa", path, "a")
    assert [a.score for a in answers] == [1, None, 1]
    assert answers[1].error is not None
    assert "row 2, image 1" in answers[1].error.message
    assert (scores[0].n, scores[0].failed, scores[0].score) == (2, 1, 100)
    assert len(engine.requests) == 2


def test_an_interval_holds_its_mean_and_narrows() -> None:
    import numpy as np

    rng = np.random.default_rng(3)
    scores = (rng.random(400) < 0.8).astype(float)
    low, high = interval([scores])
    assert low < scores.mean() < high
    # A binomial of 0.8 with n = 400 has a standard error of 0.02.
    assert high - low == pytest.approx(4 * 0.02, abs=0.015)
    wide = interval([scores[:50]])
    assert wide[1] - wide[0] > high - low
    # Each part is drawn from by itself: no interval where each is of one value.
    assert interval([np.ones(5), np.zeros(7)]) == (0.5, 0.5)
