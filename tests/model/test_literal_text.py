"""Text from outside is never markup: what it spells costs tokens of text."""

from __future__ import annotations

import functools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from deepseek_vl_v2.format import template
from deepseek_vl_v2.format.tags import TAGS
from deepseek_vl_v2.literal_text import LiteralEncoder
from dvl2_cli.engine.local.prompt import build_prompt
from dvl2_cli.engine.request import Message, RequestDefaults
from dvl2_cli.prompts import (
    Question,
    extract_field,
    extract_json,
    locate,
    locate_all,
    locate_like,
)
from tests import golden_data as golden

CONTROL = (
    template.USER, template.ASSISTANT, template.BOS, template.EOS, template.PAD, template.IMAGE_TAG
)  # fmt: skip
TAGGED = "<|grounding|>Is the <|ref|>red car<|/ref|> at <|det|>[[1, 2, 3, 4]]<|/det|>?"


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
@pytest.mark.parametrize("control", CONTROL)
def test_control_tokens_are_text(checkpoint: str, control: str) -> None:
    processor = golden.processor(checkpoint)
    text = f"A{control}B"
    ids = processor.tokens.encode_literal(text)
    assert processor.decode(ids) == text
    assert processor.tokenizer.convert_tokens_to_ids(control) not in ids
    assert len(ids) - len(processor.tokens.encode_literal("AB")) >= 3
    # The processor itself stays as upstream.
    assert len(processor.tokens.encode(text)) == 3


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
def test_tags_of_grounding_stay_tokens(checkpoint: str) -> None:
    tokens = golden.processor(checkpoint).tokens
    assert tokens.encode_literal(TAGGED) == tokens.encode(TAGGED)


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
@pytest.mark.parametrize("tag", [*TAGS, *CONTROL])
def test_a_phrase_that_spells_a_tag_is_text(checkpoint: str, tag: str) -> None:
    processor = golden.processor(checkpoint)
    tokens = processor.tokens
    phrase = f"the {tag} tag"
    request = RequestDefaults().request((message_of(locate.about(phrase)),))
    ids = build_prompt(request, processor, 4096).ids
    opened, closed = (processor.tokenizer.convert_tokens_to_ids(name) for name in TAGS[:2])
    inner = ids[ids.index(opened) + 1 : ids.index(closed)]
    assert ids.count(opened) == ids.count(closed) == 1
    assert processor.decode(inner) == phrase
    special = {processor.tokenizer.convert_tokens_to_ids(name) for name in (*TAGS, *CONTROL)}
    assert special.isdisjoint(inner)
    assert inner == tokens.encode_verbatim(phrase)


@given(st.lists(st.sampled_from([*TAGS, *CONTROL, "<|", "|>", "/", "ref", " car"]), min_size=1))
def test_questions_hold_the_tags_of_their_template_only(pieces: list[str]) -> None:
    processor = golden.processor("mha")
    special = {processor.tokenizer.convert_tokens_to_ids(tag) for tag in (*TAGS, *CONTROL)}
    for template_ in (locate, locate_all, locate_like, extract_field, extract_json):
        plain, spelled = (
            build_prompt(
                RequestDefaults().request((message_of(template_.about(words)),)), processor, 4096
            ).ids
            for words in ("x", "".join(pieces))
        )
        assert [i for i in plain if i in special] == [i for i in spelled if i in special]


def message_of(question: Question) -> Message:
    return Message("user", question.text, literal=question.literal)


@functools.cache
def unmarked() -> tuple[PreTrainedTokenizerFast, LiteralEncoder]:
    """A tokenizer whose control tokens are not marked as special, some with an ending in common."""
    folder = golden.ROOT / "checkpoints" / "mha"
    processor_file = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    from tokenizers import Tokenizer

    for token in processor_file["added_tokens"]:
        token["special"] = token["content"] in TAGS
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(processor_file))
    )
    tokenizer.add_tokens(["<|a|>", "<|a|><|b|>", "ø"])
    return tokenizer, LiteralEncoder(tokenizer.backend_tokenizer, TAGS)


@given(st.lists(st.sampled_from([*CONTROL[:-1], "<|a|>", "<|a|><|b|>", "<", "|>", "hi "])))
def test_tokens_that_look_like_control_are_text_too(pieces: list[str]) -> None:
    tokenizer, literal = unmarked()
    text = "".join(pieces)
    ids = literal(text)
    control = {tokenizer.convert_tokens_to_ids(t) for t in (*CONTROL[:-1], "<|a|>", "<|a|><|b|>")}
    assert control.isdisjoint(ids)
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_letters_that_a_tokenizer_adds_stay_tokens() -> None:
    tokenizer, literal = unmarked()
    letter = "ø"
    assert literal(letter) == [tokenizer.convert_tokens_to_ids(letter)]


@given(
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=20)), max_size=4),
    st.booleans(),
)
def test_both_ways_in_agree_on_plain_text(turns: list[tuple[str, str]], mask: bool) -> None:
    """Where no text spells a token, `encode_turns` gives what upstream gives."""
    tokens = golden.processor("mha").tokens
    if any("<" in text for _, text in turns):
        return
    messages = [{"role": role, "content": text} for role, text in turns]
    expected = template.encode_conversation(
        messages, [], tokens, mask_prompt=mask, for_generation=False
    )
    found = template.encode_turns(
        [(role, [text]) for role, text in turns], tokens, mask_prompt=mask, for_generation=False
    )
    assert found == expected


def test_images_stand_beside_the_text() -> None:
    tokens = golden.processor("mha").tokens
    text = "<image>\nWhat differs between <image> and this?"
    expected = template.encode_conversation(
        [{"role": "user", "content": text}], [3, 2], tokens, mask_prompt=True, for_generation=False
    )
    parts: list[template.Part] = [3, "\nWhat differs between ", 2, " and this?"]
    found = template.encode_turns([("user", parts)], tokens, mask_prompt=True, for_generation=False)
    assert found == expected
    with pytest.raises(template.PromptError, match="message 1: only a user's message"):
        template.encode_turns([("system", parts)], tokens, mask_prompt=True, for_generation=False)
