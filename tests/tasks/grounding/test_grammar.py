from __future__ import annotations

from pathlib import Path

import pytest

from deepseek_vl_v2.format.tags import TAGS
from dvl2_cli.tasks.grounding.grammar import caption_grammar, objects_grammar
from dvl2_cli.tasks.grounding.tags import format_object

llguidance = pytest.importorskip("llguidance")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> object:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {letter: index for index, letter in enumerate(sorted(letters))}
    built = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    closing = ["<|/ref|>", "<|/det|>", "<eos>"]
    built.add_special_tokens([AddedToken(name, special=True) for name in [*TAGS, *closing] if name])
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    built.save(str(path))
    return llguidance.LLTokenizer(Path(path).read_text(encoding="utf-8"))


def accepts(tokenizer: object, grammar: str, text: str) -> bool:
    matcher = llguidance.LLMatcher(tokenizer, grammar)
    assert not matcher.get_error()
    ids = tokenizer.tokenize_str(text, parse_special=True)  # type: ignore[attr-defined]
    return bool(matcher.consume_tokens(ids) and matcher.is_accepting())


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("", True),
        ("There is no car in this image.", True),
        (format_object("red car", [(220, 270, 422, 720)]), True),
        (format_object("红色 car", [(0, 1, 2, 999), (5, 6, 7, 8)]), True),
        ("a car " + format_object("car", [(1, 2, 3, 4)]), False),
        ("<|ref|>car<|/ref|><|det|>[[1, 2, 3]]<|/det|>", False),
        ("<|ref|>car<|/ref|><|det|>[[1, 2, 3, 4444]]<|/det|>", False),
        ("<|ref|>car<|/ref|><|det|>[[1, 2, 3, 4]]", False),
    ],
)
def test_the_objects_grammar(tokenizer: object, text: str, accepted: bool) -> None:
    assert accepts(tokenizer, objects_grammar(), text) is accepted


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("A quiet street.", True),
        ("A " + format_object("car", [(1, 2, 3, 4)]) + " by a wall.", True),
        ("A <|ref|>car<|/ref|> by a wall.", False),
    ],
)
def test_the_caption_grammar(tokenizer: object, text: str, accepted: bool) -> None:
    assert accepts(tokenizer, caption_grammar(), text) is accepted
