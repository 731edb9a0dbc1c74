"""The tokens that a person means when a text spells them: labels, boxes, grounding.

A found object is ``<|ref|>label<|/ref|><|det|>[[x1, y1, x2, y2], …]<|/det|>``, with integers
0..999 relative to the whole original picture.
"""

REF_OPEN, REF_CLOSE = "<|ref|>", "<|/ref|>"
DET_OPEN, DET_CLOSE = "<|det|>", "<|/det|>"
GROUNDING = "<|grounding|>"
# In the order in which upstream adds those that a tokenizer lacks.
TAGS = (REF_OPEN, REF_CLOSE, DET_OPEN, DET_CLOSE, GROUNDING)
