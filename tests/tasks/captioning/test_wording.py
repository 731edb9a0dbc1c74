from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.errors import UsageError
from dvl2_cli.tasks.captioning.wording import FIELDS, Wording, contains_word, filled


@pytest.mark.parametrize(
    ("text", "word", "there"),
    [
        ("A red Car.", "car", True),
        ("A red carpet", "car", False),
        ("car_park", "car", True),
        ("Ein Café.", "café", True),
        ("c++ code", "c++", True),
    ],
)
def test_words_are_found_whole(text: str, word: str, there: bool) -> None:
    assert contains_word(text, word) is there


def test_missing_words_are_added_once() -> None:
    wording = Wording(include=("toy", "car"))
    assert wording.caption("A red car.\n") == "A red car, toy"
    assert wording.caption("A toy car.") == "A toy car."


@given(st.text())
def test_a_template_never_fails_but_by_a_usage_error(template: str) -> None:
    try:
        filled(template, dict.fromkeys(FIELDS, "x"))
    except UsageError as error:
        assert error.message.startswith("--template")  # noqa: PT017


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(), min_size=len(FIELDS)))
def test_values_are_not_read_as_templates(values: dict[str, str]) -> None:
    assert filled("{caption}", values) == values["caption"]


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("An image of a dog", False),
        ("The IMAGES", False),
        ("image", False),
        ("reimage it", True),
        ("a dog", True),
        ("ein Café", False),
    ],
)
def test_the_grammar_keeps_unwanted_words_out(text: str, accepted: bool) -> None:
    llguidance = pytest.importorskip("llguidance")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    built = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens(["<eos>"])
    tokenizer = llguidance.LLTokenizer(built.to_str())
    constraint = Wording(avoid=("image", "café")).constraint()
    assert constraint is not None
    matcher = llguidance.LLMatcher(tokenizer, constraint.text, log_level=0)
    taken = matcher.consume_tokens(tokenizer.tokenize_str(text))
    assert (taken and matcher.is_accepting()) is accepted
