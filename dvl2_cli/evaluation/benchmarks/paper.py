"""What the paper says of the three sizes, as far as we could read it.

DeepSeek-VL2 (arXiv 2412.10302). The figures of Tiny and Small are those that its authors quote
from it in VLMEvalKit's pull request 697; the boxes of the largest are those that Papers with Code
listed. The paper's own tables were not at hand: what neither source has is not known here.
"""

from __future__ import annotations

from dvl2_cli.results.benchmark import PaperFigures

# On the scale of the set: tiny, small, the 27B.
PAPER = {
    "chartqa": PaperFigures(81.0, 84.5, None),
    "textvqa": PaperFigures(80.7, 83.4, None),
    "ocrbench": PaperFigures(809, 834, None),
    "mmmu": PaperFigures(40.7, 48.0, None),
}
_UNKNOWN = PaperFigures(None, None, None)
# Split -> figure of the largest. "RefCOCO testB" is left out: the list repeats val's there.
PAPER_BOXES: dict[str, float] = {
    "RefCOCO val": 95.1,
    "RefCOCO testA": 96.7,
    "RefCOCO+ val": 91.2,
    "RefCOCO+ testA": 94.9,
    "RefCOCO+ testB": 87.4,
    "RefCOCOg val": 92.8,
    "RefCOCOg test": 92.9,
}


def paper_figures(name: str) -> PaperFigures:
    """The paper's figures of the set ``name``, None where they are not known."""
    return PAPER.get(name, _UNKNOWN)


def paper_note(name: str) -> str:
    """The same for people, each named as the paper's."""
    if name == "refcoco":
        listed = ", ".join(f"{split} {value}" for split, value in PAPER_BOXES.items())
        return f"the paper's figures, of the 27B: {listed}; of Tiny and Small not known here"
    found = paper_figures(name)
    if found == _UNKNOWN:
        return "the paper's figures for this set are not known here"
    sizes = (("Tiny", found.tiny), ("Small", found.small), ("27B", found.large))
    parts = [f"{size} {'not known here' if v is None else f'{v:g}'}" for size, v in sizes]
    return f"the paper's figures: {', '.join(parts)}"
