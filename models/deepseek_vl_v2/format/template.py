"""Conversations to token ids: roles, separators, image positions and labels.

Text is encoded piece by piece: BPE never merges across a message or an image. There is no
space after ``<|Assistant|>:``; upstream's display string has one, and is not what is encoded.

There are two ways in. ``encode_conversation`` is upstream's: ``<image>`` in the text stands for
an image, and a control token that the text spells becomes that token. ``encode_turns`` takes
images beside the text, and text from outside stays text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from deepseek_vl_v2.format.tags import TAGS

USER, ASSISTANT = "<|User|>", "<|Assistant|>"
IMAGE_TAG = "<image>"
BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
# The order in which upstream adds those that a tokenizer lacks.
SPECIAL_TOKENS = (PAD, IMAGE_TAG, *TAGS, USER, ASSISTANT)

_ROLES = {
    USER: "user",
    "user": "user",
    ASSISTANT: "assistant",
    "assistant": "assistant",
    "system": "system",
    "deepseekapi-sys": "system",
}


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A text in which ``TAGS`` are text too: words from outside within a question."""

    text: str

    def __str__(self) -> str:
        return self.text


# A text, or how many positions an image takes.
Part = str | Verbatim | int
# A role and what it says.
Turn = tuple[str, Sequence[Part]]


class PromptError(ValueError):
    """A conversation that cannot be turned into a prompt."""


@dataclass(frozen=True, slots=True)
class TemplateTokens:
    """The tokenizer's part: two encoders without special additions, and the special ids.

    ``encode`` reads every special token that a text spells, ``encode_literal`` only
    ``TAGS``, ``encode_verbatim`` none.
    """

    encode: Callable[[str], list[int]]
    encode_literal: Callable[[str], list[int]]
    encode_verbatim: Callable[[str], list[int]]
    bos: int
    eos: int
    image: int
    user: int
    assistant: int


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
    """Encode messages of ``role`` and ``content`` as upstream does.

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
    counts = iter(image_tokens)

    def turns() -> Iterator[Turn]:
        for index, message in enumerate(messages):
            role = role_of(str(message["role"]))
            content = str(message["content"])
            if role == "assistant" and IMAGE_TAG in content:
                raise PromptError(f"message {index + 1}: {IMAGE_TAG} inside an answer")
            yield role, with_image_positions(content, counts) if role == "user" else [content]

    return _encode(
        turns(), tokens, tokens.encode, mask_prompt=mask_prompt, for_generation=for_generation
    )


def encode_turns(
    turns: Iterable[Turn], tokens: TemplateTokens, *, mask_prompt: bool, for_generation: bool
) -> EncodedPrompt:
    """Encode turns whose text is only text: of special tokens it may spell ``TAGS``, unless it
    is a `Verbatim`.

    Args:
        turns: in order; for generation the last is an assistant turn without parts.
        tokens: the tokenizer's part.
        mask_prompt: whether user and system text is left out of the labels.
        for_generation: whether the final EOS is removed.

    Raises:
        PromptError: an unknown role, a system turn that is not first, an image outside of the
            users' turns, or a conversation that does not end with the assistant.
    """
    return _encode(
        ((role_of(role), parts) for role, parts in turns),
        tokens,
        tokens.encode_literal,
        mask_prompt=mask_prompt,
        for_generation=for_generation,
    )


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
    parts = with_image_positions(text, iter(image_tokens))
    _add_parts(prompt, parts, tokens, tokens.encode, trained=True)
    if not for_generation:
        prompt.add([tokens.eos], trained=True)
    return prompt


def user_text(content: str) -> str:
    """A user turn with the marker that the answer follows; ``content`` is stripped."""
    if not content:
        return f"{USER}:{ASSISTANT}:"
    return f"{USER}: {content}\n\n{ASSISTANT}:"


def with_image_positions(text: str, counts: Iterator[int]) -> list[Part]:
    """``text`` with the next of ``counts`` in place of each ``<image>`` tag.

    Raises:
        PromptError: there are more tags than counts.
    """
    first, *rest = text.split(IMAGE_TAG)
    parts: list[Part] = [first]
    for piece in rest:
        count = next(counts, None)
        if count is None:
            raise PromptError(f"the conversation has more {IMAGE_TAG} tags than images")
        parts += [count, piece]
    return parts


def display(messages: Sequence[Mapping[str, object]], system_prompt: str = "") -> str:
    """Upstream's ``sft_format`` string: for people, never encoded."""
    text = f"{system_prompt}\n\n" if system_prompt else ""
    for index, message in enumerate(messages):
        content = str(message["content"]).strip()
        end = EOS if index % 2 else "\n\n"
        text += f"{message['role']}: {content}{end}" if content else f"{message['role']}:"
    return text


def _encode(
    turns: Iterable[Turn],
    tokens: TemplateTokens,
    encode: Callable[[str], list[int]],
    *,
    mask_prompt: bool,
    for_generation: bool,
) -> EncodedPrompt:
    prompt = EncodedPrompt()
    prompt.add([tokens.bos], trained=True)
    role = ""
    for index, (role, parts) in enumerate(turns):
        if role == "user":
            trained = not mask_prompt
            prompt.add([tokens.user], trained=trained)
            _add_parts(prompt, _framed(_stripped(parts)), tokens, encode, trained=trained)
            prompt.add([tokens.assistant, *encode(":")], trained=trained)
            continue
        if any(isinstance(part, int) for part in parts):
            raise PromptError(f"message {index + 1}: only a user's message may hold an image")
        if role == "system" and index:
            raise PromptError(f"message {index + 1}: a system message must be the first one")
        said = EncodedPrompt()
        _add_parts(said, _stripped(parts), tokens, encode, trained=True)
        if role == "system":
            prompt.add(said.ids, trained=not mask_prompt)
        else:
            prompt.add([*said.ids, tokens.eos], trained=True)
    if for_generation:
        if role != "assistant":
            raise PromptError("the conversation must end with an empty assistant message")
        prompt.drop_last()
    return prompt


def _stripped(parts: Sequence[Part]) -> list[Part]:
    """``parts`` without white space around them."""
    found = list(parts)
    if found and isinstance(found[0], str):
        found[0] = found[0].lstrip()
    if found and isinstance(found[-1], str):
        found[-1] = found[-1].rstrip()
    return [part for part in found if part != ""]


def _framed(parts: list[Part]) -> list[Part]:
    """What stands between the user's and the assistant's token, in as few texts as possible."""
    if not parts:
        return [":"]
    first, last = parts[0], parts[-1]
    start: list[Part] = [f": {first}", *parts[1:]] if isinstance(first, str) else [": ", *parts]
    last = start[-1]
    return [*start[:-1], f"{last}\n\n"] if isinstance(last, str) else [*start, "\n\n"]


def _add_parts(
    prompt: EncodedPrompt,
    parts: Iterable[Part],
    tokens: TemplateTokens,
    encode: Callable[[str], list[int]],
    *,
    trained: bool,
) -> None:
    for part in parts:
        if isinstance(part, str):
            prompt.add(encode(part), trained=trained)
        elif isinstance(part, Verbatim):
            prompt.add(tokens.encode_verbatim(part.text), trained=trained)
        else:
            prompt.images_used += 1
            prompt.add([tokens.image] * part, trained=False, image=True)
