"""What ends an answer besides the model."""

from __future__ import annotations

from pathlib import Path

from deepseek_vl_v2 import DeepseekVLV2Processor
from dvl2_cli.engine.local.answer import Answer

NANO = Path(__file__).parents[2] / "models" / "dvl2_nano"


def written(text: str, max_lines: int | None) -> tuple[str, bool]:
    """The answer when the model writes ``text``, and whether it was ended."""
    processor = DeepseekVLV2Processor.from_pretrained(str(NANO))
    answer = Answer(processor, (), loop_guard=False, max_lines=max_lines)
    for token in processor.tokens.encode(text):
        answer.add(token, -0.1)
        if answer.ended() == "stop":
            return answer.raw, True
    return answer.raw, False


def test_an_answer_ends_after_its_lines() -> None:
    assert written("one\n\ntwo\nthree\nfour", 2) == ("one\n\ntwo", True)
    assert written("one\ntwo", 2) == ("one\ntwo", False)
    assert written("\n\none\ntwo\n", None) == ("\n\none\ntwo\n", False)
