"""Conversations to token ids: roles, separators, image positions and labels.

Text is encoded piece by piece: BPE never merges across a message or an image. There is no
space after ``<|Assistant|>:``; upstream's display string has one, and is not what is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

USER, ASSISTANT = "<|User|>", "<|Assistant|>"
IMAGE_TAG = "<image>"
BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
GROUNDING_TOKENS = ("<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>")
# The order in which upstream adds those that a tokenizer lacks.
SPECIAL_TOKENS = (PAD, IMAGE_TAG, *GROUNDING_TOKENS, USER, ASSISTANT)

_ROLES = {
    USER: "user",
    "user": "user",
    ASSISTANT: "assistant",
    "assistant": "assistant",
    "system": "system",
    "deepseekapi-sys": "system",
}


class PromptError(ValueError):
    """A conversation that cannot be turned into a prompt."""


@dataclass(frozen=True, slots=True)
class TemplateTokens:
    """The tokenizer's part: an encoder without special additions, and the special ids."""

    encode: Callable[[str], list[int]]
    bos: int
    eos: int
    image: int


@dataclass(slots=True)
class EncodedPrompt:
    """Ids of a prompt, whether each is an image position, and whether each may be a label."""

    ids: list[int] = field(default_factory=list)
    image_mask: list[bool] = field(default_factory=list)
    trained: list[bool] = field(default_factory=list)
    images_used: int = 0

    def add(self, ids: Sequence[int], *, trained: bool, image: bool = False) -> None:
        """Append ids that share their flags."""
        self.ids += ids
        self.image_mask += [image] * len(ids)
        self.trained += [trained] * len(ids)

    def drop_last(self) -> None:
        """Remove the last id."""
        for column in (self.ids, self.image_mask, self.trained):
            column.pop()

    def labels(self, ignored: int) -> list[int]:
        """The ids, with what is not to be learned replaced by ``ignored``."""
        return [
            token if trained and not image else ignored
            for token, trained, image in zip(self.ids, self.trained, self.image_mask, strict=True)
        ]


def role_of(name: str) -> str:
    """Which of "user", "assistant" and "system" a name that checkpoints use stands for.

    Raises:
        PromptError: no such role.
    """
    role = _ROLES.get(name)
    if role is None:
        raise PromptError(f"unknown role {name!r}: use one of {', '.join(_ROLES)}")
    return role


def encode_conversation(
    messages: Sequence[Mapping[str, object]],
    image_tokens: Sequence[int],
    tokens: TemplateTokens,
    *,
    mask_prompt: bool,
    for_generation: bool,
) -> EncodedPrompt:
    """Encode messages of ``role`` and ``content``.

    Args:
        messages: in order; for generation the last is an assistant message without content.
        image_tokens: how many positions each image takes, in order of the ``<image>`` tags.
        tokens: the tokenizer's part.
        mask_prompt: whether user and system text is left out of the labels.
        for_generation: whether the final EOS is removed.

    Raises:
        PromptError: an unknown role, a system message that is not first, a missing image, an
            image tag in an answer, or a conversation that does not end with the assistant.
    """
    prompt = EncodedPrompt()
    prompt.add([tokens.bos], trained=True)
    role = ""
    for index, message in enumerate(messages):
        role = role_of(str(message["role"]))
        content = str(message["content"]).strip()
        if role == "system":
            if index:
                raise PromptError(f"message {index + 1}: a system message must be the first one")
            prompt.add(tokens.encode(content), trained=not mask_prompt)
        elif role == "user":
            _add_with_images(
                prompt, user_text(content), image_tokens, tokens, trained=not mask_prompt
            )
        else:
            if IMAGE_TAG in content:
                raise PromptError(f"message {index + 1}: {IMAGE_TAG} inside an answer")
            prompt.add([*tokens.encode(content), tokens.eos], trained=True)
    if for_generation:
        if role != "assistant":
            raise PromptError("the conversation must end with an empty assistant message")
        prompt.drop_last()
    return prompt


def encode_raw(
    text: str,
    image_tokens: Sequence[int],
    tokens: TemplateTokens,
    *,
    for_generation: bool,
) -> EncodedPrompt:
    """Encode a text as it is, between BOS and EOS; for generation without EOS.

    Raises:
        PromptError: an ``<image>`` tag without an image.
    """
    prompt = EncodedPrompt()
    prompt.add([tokens.bos], trained=True)
    _add_with_images(prompt, text, image_tokens, tokens, trained=True)
    if not for_generation:
        prompt.add([tokens.eos], trained=True)
    return prompt


def user_text(content: str) -> str:
    """A user turn with the marker that the answer follows; ``content`` is stripped."""
    if not content:
        return f"{USER}:{ASSISTANT}:"
    return f"{USER}: {content}\n\n{ASSISTANT}:"


def display(messages: Sequence[Mapping[str, object]], system_prompt: str = "") -> str:
    """Upstream's ``sft_format`` string: for people, never encoded."""
    text = f"{system_prompt}\n\n" if system_prompt else ""
    for index, message in enumerate(messages):
        content = str(message["content"]).strip()
        end = EOS if index % 2 else "\n\n"
        text += f"{message['role']}: {content}{end}" if content else f"{message['role']}:"
    return text


def _add_with_images(
    prompt: EncodedPrompt,
    text: str,
    image_tokens: Sequence[int],
    tokens: TemplateTokens,
    *,
    trained: bool,
) -> None:
    first, *rest = text.split(IMAGE_TAG)
    prompt.add(tokens.encode(first), trained=trained)
    for piece in rest:
        if prompt.images_used >= len(image_tokens):
            raise PromptError(
                f"the conversation has more {IMAGE_TAG} tags than images ({len(image_tokens)})"
            )
        count = image_tokens[prompt.images_used]
        prompt.images_used += 1
        prompt.add([tokens.image] * count, trained=False, image=True)
        prompt.add(tokens.encode(piece), trained=trained)
