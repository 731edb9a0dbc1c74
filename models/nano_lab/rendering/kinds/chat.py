"""Text-only small talk, and what the small bundled model can and cannot do."""

from __future__ import annotations

import random

from nano_lab.rendering.catalogue import EMOJI, plural, with_article
from nano_lab.rendering.sample import Split, Turn
from nano_lab.rendering.text import prose
from nano_lab.rendering.vocabulary import common_words

_LIMIT = "I am nano, a small model: I read printed text and find simple objects in pictures."
_PAIRS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("Hello", "Hi", "Hey", "Good morning", "Hello!", "Hi there"), "Hello! Show me a picture."),
    (("What can you do?", "Help", "What are you good at?", "How can you help me?"),
     "I read text, describe simple scenes, count objects and find them in pictures."),
    (("Who are you?", "What are you?", "What is your name?", "Which model are you?"), _LIMIT),
    (("Thanks", "Thank you", "Thank you!", "Great, thanks"), "You are welcome."),
    (("Bye", "Goodbye", "See you", "Good night"), "Goodbye!"),
    (("How are you?", "How is it going?"), "I am fine. Show me a picture and ask about it."),
    (("Describe this image.", "What is in the picture?", "Read the text in this image."),
     "I see no image. Please add one."),
    (("Tell me a joke.", "Write a poem.", "Write an essay.", "Explain relativity.",
      "Who won the match?", "What is the weather?", "Translate this into French."),
     f"I cannot do that. {_LIMIT}"),
    (("Are you sure?", "Can you be wrong?"), "I can be wrong. Please check what I say."),
)  # fmt: skip


def turns(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    """One to three turns without a picture."""
    return tuple(_turn(rng, split) for _ in range(rng.randint(1, 3)))


def _turn(rng: random.Random, split: Split) -> Turn:
    roll = rng.random()
    if roll < 0.45:
        questions, answer = rng.choice(_PAIRS)
        return Turn(rng.choice(questions), answer, "chat")
    if roll < 0.7:
        text = " ".join(prose(rng, split, 3)[: rng.randint(1, 8)])
        return Turn(f"Repeat: {text}", text, "chat")
    if roll < 0.8:
        name = rng.choice(EMOJI).name
        return Turn(f"What is the plural of {name}?", plural(name), "chat")
    if roll < 0.9:
        left, right = rng.randint(0, 20), rng.randint(0, 20)
        return Turn(f"What is {left} plus {right}?", str(left + right), "chat")
    word = rng.choice(common_words(split))
    if rng.random() < 0.5:
        return Turn(f"Spell {word}.", " ".join(word), "chat")
    return Turn(f'Put "{word}" after its article.', with_article(word), "chat")
