"""Words of pages and questions, as a full-text index tells them apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

# Scripts without spaces between words: Thai to Khmer, kana, Han, and Hangul, whose words carry
# endings. Their characters are indexed one by one, and looked for two by two.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_CHARACTER = re.compile(f"([{_UNSPACED}])")
_TOKEN = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+")
_RUN = re.compile(f"[{_UNSPACED}]+")

# Words of questions that say nothing of what is asked about.
STOP_WORDS = frozenset(
    """
    a about all am an and any are as at be been but by can could did do does each find for from
    get give had has have how i if in is it its list many me mean most much my name of on or our
    out page pages please say says show so some tell than that the their them then there these
    they this those to was we were what when where which who whom whose why will with would you
    your
    alle als am an auf aus bei bis das dass dem den der des die dies diese dieser ein eine einem
    einen einer er es für hat ich ihr im in ist kann mein mit nach nicht noch nur oder seite sich
    sie sind so um und uns unter von vor wann war warum was welche welchem welchen welcher
    welches wenn wer werden wie wieviel wir wird wo wurde zu zum zur
    au aux avec ce ces cette combien comment dans de des du elle en est et il ils je la le les
    leur lui mais ne nous ou où par pas pour pourquoi qu quand que quel quelle quelles quels qui
    quoi sa se ses son sont sur un une vous
    al como con cual cuales cuando cuanto cuál cuáles cuándo cuánto cómo del donde dónde el ella
    en es esta este los las lo más no para pero por que qué quien quién se si sin sobre su sus
    una unos y ya
    che chi come con cosa da dal dalla dei del della di dove e gli ho i il la le nel nella non
    per più quale quali quando quanto questo sono sul un una
    ao aos as com da das do dos e em foi mais mas na nas no nos o os ou para pela pelo por qual
    quais quando quanto quem que se são sem seu sua um uma
    aan bij dat de deze die dit door een en het hij hoe hoeveel ik is kan met naar niet of om op
    te tot uit van voor waar waarom wanneer wat welk welke werd wie wij zijn
    """.split()  # noqa: SIM905  a list of words is no list of strings
)


def indexed(text: str) -> str:
    """``text`` as it is indexed: characters of scripts without spaces stand apart."""
    return _CHARACTER.sub(r" \1 ", text)


def terms_of(question: str) -> list[str]:
    """The words of ``question`` that are worth looking for, each once, in order.

    A run of a script without spaces becomes its pairs of neighbours, "a b" for "ab". Where only
    stop words are asked for, they are it.
    """
    found = list(dict.fromkeys(_TOKEN.findall(question)))
    kept = [word for word in found if word.casefold() not in STOP_WORDS]
    return list(dict.fromkeys(term for word in kept or found for term in _terms(word)))


def _terms(word: str) -> Iterator[str]:
    if _RUN.fullmatch(word) and len(word) > 1:
        yield from (f"{one} {other}" for one, other in pairwise(word))
    else:
        yield word


def without_accents(text: str) -> str:
    """``text`` without the marks on its letters."""
    apart = unicodedata.normalize("NFD", text)
    return "".join(char for char in apart if unicodedata.category(char) != "Mn")


def match_any(terms: list[str]) -> str:
    """An FTS5 expression for pages with any of ``terms``, each a word or a phrase."""
    quoted = (term.replace('"', '""') for term in terms)
    return " OR ".join(f'"{term}"' for term in quoted)
