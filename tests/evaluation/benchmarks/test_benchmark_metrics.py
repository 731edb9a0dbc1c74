"""The benchmarks' metrics: values worked out by hand, and properties."""

from __future__ import annotations

from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.evaluation.benchmarks.metrics.anls import best_anls
from dvl2_cli.evaluation.benchmarks.metrics.choice import chosen_option, rotations
from dvl2_cli.evaluation.benchmarks.metrics.contained import contains_one
from dvl2_cli.evaluation.benchmarks.metrics.relaxed import is_close_enough
from dvl2_cli.evaluation.benchmarks.metrics.vqa import agreement, normalised_answer

texts = st.text(max_size=20)


@pytest.mark.parametrize(
    ("references", "answer", "score"),
    [
        (["INV-204"], "inv-204", 1.0),
        (["abcd"], "abcx", 0.75),
        (["abcd"], "abxy", 0.5),
        (["abcde"], "abxyz", 0.0),  # 0.4 is under the threshold
        (["nothing", "abcd"], "abcx", 0.75),
        # One edit, over the nine characters of the answer as it came.
        (["a b c"], "a   b   x", 1 - 1 / 9),
        (["a b c"], "a   b   c", 1.0),
        ([""], "", 1.0),
    ],
)
def test_anls_by_hand(references: list[str], answer: str, score: float) -> None:
    assert best_anls(references, answer) == pytest.approx(score)


@given(st.lists(texts, min_size=1, max_size=4), texts)
def test_anls_is_0_or_at_least_a_half_and_never_falls_with_more_references(
    references: list[str], answer: str
) -> None:
    score = best_anls(references, answer)
    assert score == 0 or 0.5 <= score <= 1
    assert best_anls([*references, answer], answer) >= score


@pytest.mark.parametrize(
    ("reference", "answer", "right"),
    [
        ("100", "105", True),
        ("100", "95", True),
        ("100", "105.1", False),
        ("-100", "-104", True),
        ("-100", "100", False),
        ("5%", "0.05", True),
        ("5%", "5", False),
        ("0", "0", True),
        ("0", "0.0", False),  # a target of 0 is text
        ("0%", "0%", True),
        ("2014", "2014.0", True),
        ("Blue", "blue", True),
        ("Blue", "dark blue", False),
        ("7", "seven", False),
        ("nan", "NaN", False),  # a number that equals nothing
    ],
)
def test_relaxed_accuracy_by_hand(reference: str, answer: str, right: bool) -> None:
    assert is_close_enough(reference, answer) is right


@given(st.floats(0.01, 1e6), st.floats(-0.2, 0.2))
def test_relaxed_accuracy_has_its_border_at_five_percent(value: float, by: float) -> None:
    if abs(abs(by) - 0.05) > 1e-6:
        assert is_close_enough(repr(value), repr(value * (1 + by))) is (abs(by) < 0.05)


@pytest.mark.parametrize(
    ("equal", "score"),
    # k equal ones: each of them sees k - 1 among the others, each of the rest k.
    [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)],
)
def test_vqa_accuracy_by_hand(equal: int, score: float) -> None:
    references = ["yes"] * equal + ["no"] * (10 - equal)
    assert agreement(references, "Yes") == pytest.approx(score)


@given(st.lists(texts, min_size=1, max_size=10), texts)
def test_vqa_accuracy_is_a_share_and_knows_no_order(references: list[str], answer: str) -> None:
    score = agreement(references, answer)
    assert 0 <= score <= 1
    assert agreement(references[::-1], answer) == pytest.approx(score)


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("The Two  Cats", "2 cats"),
        ("None", "0"),
        ("1,000", "1000"),
        ("3.5 km.", "3.5 km"),
        ("U.S.A.", "usa"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("yall'd've", "y'all'd've"),
        ("somebody'd", "somebodyd"),
        ("it's", "it 's"),
        ("well-known", "well known"),
        ("well- known", "well known"),
        ("(a) dog?", "dog"),
        ("a\tb\nc", "b c"),
        # Words of which EvalAI's own list has the other meaning stay.
        ("its ill were", "its ill were"),
    ],
)
def test_evalai_normalisation_by_hand(text: str, normalised: str) -> None:
    assert normalised_answer(text) == normalised


@pytest.mark.parametrize(
    ("reference", "answer", "formula", "right"),
    [
        ("CENTRE", "it says Centre.", False, True),
        ("two words", "two\nwords here", False, True),
        ("two words", "twowords", False, False),
        ("x ^ 2", "x^2 + 1", True, True),
        ("X", "x^2", True, False),
        ("a\nb", "ab", True, True),
    ],
)
def test_ocrbench_by_hand(reference: str, answer: str, formula: bool, right: bool) -> None:
    assert contains_one([reference, "never in it"], answer, formula=formula) is right


OPTIONS = {"A": "a red car", "B": "a blue car", "C": "none of them"}


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("(B)", "B"),
        ("B. a blue car", "B"),
        ("The answer is B.", "B"),
        ("a Blue car", "B"),
        ("A or B", None),
        ("a red car or a blue car", None),
        ("D", None),
        ("", None),
        ("Z", None),
        # The letter is too far from the end, and no option's text is there.
        ("A car that is neither of those two", None),
        ("a red car " + "and so on " * 20, None),  # too long for its options
    ],
)
def test_which_option_an_answer_names(answer: str, letter: str | None) -> None:
    assert chosen_option(answer, OPTIONS) == letter


@given(st.lists(texts, min_size=2, max_size=5, unique=True), st.data())
def test_every_rotation_keeps_the_right_text_and_puts_it_under_every_letter_once(
    options: list[str], data: st.DataObject
) -> None:
    lettered = dict(zip(ascii_uppercase, options, strict=False))
    right = data.draw(st.sampled_from(list(lettered)))
    turned = rotations(lettered, right)
    assert turned[0] == (lettered, right)
    assert sorted(letter for _, letter in turned) == list(lettered)
    for placed, letter in turned:
        assert placed[letter] == lettered[right]
        assert sorted(placed.values()) == sorted(options)
