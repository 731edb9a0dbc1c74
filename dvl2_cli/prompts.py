"""The exact words for each task, so that no user has to know the special tokens.

The wording follows the examples that the model's authors published; nano is trained on
the same strings.
"""

from __future__ import annotations

from deepseek_vl_v2.format.tags import GROUNDING, REF_CLOSE, REF_OPEN

# name -> question, asked after the images
PRESETS: dict[str, str] = {
    "describe": "Describe this image.",
    "describe-short": "Describe this image in one sentence.",
    "describe-long": "Describe this image in detail.",
    "ocr": "Read the text in this image.",
    "markdown": "Convert this document to Markdown.",
    "table": "Convert the table in this image to Markdown.",
    "chart-to-table": "Convert this chart to a Markdown table.",
    "plot-to-python": "Write Python code with matplotlib that draws this plot.",
    "web-to-code": "Write HTML and CSS code for this web page.",
    "formula": "Convert the formula in this image to LaTeX.",
    "story": "Tell a story that connects these images.",
    "compare": "Compare these images. What is the same and what differs?",
    "steps": "Think step by step, then give the answer on a last line that starts with Answer:",
    "grounded-caption": f"{GROUNDING}Can you describe this image?",
}


def locate(phrase: str) -> str:
    """The question that asks for the boxes of ``phrase``."""
    return f"{REF_OPEN}{phrase}{REF_CLOSE}."


def locate_all(phrase: str) -> str:
    """The question that asks for the boxes of every ``phrase`` in the image."""
    return f"Locate all {REF_OPEN}{phrase}{REF_CLOSE} in this image."


def locate_like(phrase: str) -> str:
    """In-context grounding: the object marked in the first image, found in the second."""
    return f"{GROUNDING}The first image shows {phrase}. Find it in the second image."


def extract_field(name: str) -> str:
    """The question that asks for one field of a document."""
    return f"What is the {name}?"
