"""The exact words for each task, so that no user has to know the special tokens.

The wording follows the examples that the model's authors published; nano is trained on
the same strings.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepseek_vl_v2.format.tags import GROUNDING, REF_CLOSE, REF_OPEN, TAGS

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


@dataclass(frozen=True, slots=True)
class Question:
    """A question's text; tags in its ``literal`` spans ([start, end), code points) are text."""

    text: str
    literal: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class QuestionTemplate:
    """A question around words from outside: a phrase, a field's name."""

    before: str
    after: str

    def __call__(self, words: str) -> str:
        """The text of the question about ``words``."""
        return f"{self.before}{words}{self.after}"

    def about(self, words: str) -> Question:
        """The question about ``words``, in which no tag is meant."""
        start = len(self.before)
        # Without tags it stays one text, whose tokens are upstream's.
        spelled = any(tag in words for tag in TAGS)
        return Question(self(words), ((start, start + len(words)),) if spelled else ())


# The boxes of a phrase, and those of everything that it names.
locate = QuestionTemplate(REF_OPEN, f"{REF_CLOSE}.")
locate_all = QuestionTemplate(f"Locate all {REF_OPEN}", f"{REF_CLOSE} in this image.")
# In-context grounding: the object marked in the first image, found in the second.
locate_like = QuestionTemplate(
    f"{GROUNDING}The first image shows ", ". Find it in the second image."
)
# One field of a document, or all of a schema.
extract_field = QuestionTemplate("What is the ", "?")
extract_json = QuestionTemplate("Extract as JSON: ", ".")
