"""Lark grammars (llguidance's dialect) that keep the model to well-formed boxes.

Angle brackets name special tokens; the model cannot spell them as plain text.
"""

from __future__ import annotations

_BOXES = r"""
object: <|ref|> LABEL <|/ref|> <|det|> "[" box (", " box)* "]" <|/det|>
box: "[" NUMBER ", " NUMBER ", " NUMBER ", " NUMBER "]"
NUMBER: /[0-9]|[1-9][0-9]{1,2}/
LABEL: /[^<>\n]{1,200}/
"""


def objects_grammar(most: int = 300) -> str:
    """Up to ``most`` labelled box lists, or one plain sentence saying that nothing is there."""
    return f"start: object{{1,{most}}} | ABSENT\nABSENT: /[^<>\\[\\]]{{0,300}}/\n{_BOXES}"


def caption_grammar() -> str:
    """Free text in which any number of labels carry boxes."""
    return f"start: (TEXT | object)*\nTEXT: /[^<>]+/\n{_BOXES}"
