"""What the name of a column says. A lexicon in several languages, made for precision: it stops a strict compile.

A name is cut into words (``clientEmail2`` → client, email; ``customeremail`` → customer, email, where every part is a
known word). A class is recognised by a run of words, the longest run wins. What stands beside it may take it back: a
word that turns the column into a fact *about* the value (``email_verified``, ``phone_model``, ``card_number_hash``), or
one that makes it a firm's or a machine's (``merchant_postcode``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from feature_platform.governance.detection.lexicon import ABOUT, CONTEXT, LEXICON, NEUTRAL, OF_FIRMS, OTHER_SCRIPTS
from feature_platform.specs.models import Classification

_PLACES: Final = frozenset({"address", "postcode", "phone", "person_name", "email", "free_text", "iban", "ip_address"})
"""Classes that firms have too; theirs are not personal."""

_PART: Final = re.compile("(?:last|first)_?[0-9]")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SHORT: Final = frozenset({"id", "ip", "no", "nr", "of", "de", "in"})
"""Of words with two letters, those that names written in one word are cut at."""
_LIGATURES: Final = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"}
)


def looks_personal(column_name: str) -> Classification | None:
    """The class that a column of this name most probably holds, or None.

    >>> looks_personal("customerEmail")
    'email'
    >>> looks_personal("email_verified") is None
    True
    """
    if not column_name.isascii() and (other := _in_other_script(column_name)):
        return other
    words = _words(column_name)
    if not words or _PART.search(column_name.lower()):
        return None
    found = max(_runs(words), key=lambda run: run[0], default=None)
    if found is None:
        return None
    _, classification, start, end = found
    beside = (*words[:start], *words[end:])
    if any(word in ABOUT and word not in NEUTRAL for word in beside) or _is_fact(beside, words[start:end]):
        return None
    if classification in _PLACES and OF_FIRMS & set(beside) and not CONTEXT & set(beside):
        return None
    return classification


def _is_fact(beside: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Words that are neutral beside a whole value, but not in front of another noun: ``name_of_product``."""
    return "of" in beside and "of" not in phrase and bool(set(beside) - NEUTRAL - CONTEXT)


def _runs(words: tuple[str, ...]) -> list[tuple[int, Classification, int, int]]:
    """(letters, class, start, end) of every run of words that is in the lexicon; most letters tell most."""
    return [
        (sum(map(len, run)), _PHRASES[run], start, end)
        for start in range(len(words))
        for end in range(start + 1, min(len(words), start + _LONGEST) + 1)
        if (run := words[start:end]) in _PHRASES
    ]


def _words(name: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKD", name.translate(_LIGATURES))
    ascii_only = "".join(character for character in plain if not unicodedata.combining(character))
    words = [word.lower() for word in _WORD.findall(ascii_only) if not word.isdigit()]
    return tuple(part for word in words for part in _cut(word))


@lru_cache(maxsize=10_000)
def _cut(word: str) -> tuple[str, ...]:
    """A word as it is, or if nobody knows it, the fewest known words that it consists of."""
    if word in _KNOWN or not 6 <= len(word) <= 40:
        return (word,)
    best: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(2, len(word) + 1):
        for start in range(max(0, end - 24), end - 1):
            part = word[start:end]
            if start in best and part in _KNOWN and (len(part) > 2 or part in _SHORT):
                candidate = (*best[start], part)
                if end not in best or len(candidate) < len(best[end]):
                    best[end] = candidate
    return best.get(len(word), (word,))


def _in_other_script(name: str) -> Classification | None:
    lowered = unicodedata.normalize("NFKC", name).lower()
    return next(
        (classification for classification, words in OTHER_SCRIPTS.items() if any(w in lowered for w in words.split())),
        None,
    )


_PHRASES: Final[Mapping[tuple[str, ...], Classification]] = {
    tuple(phrase.split()): classification
    for classification, phrases in LEXICON.items()
    for phrase in phrases.replace("\n", " ").split(";")
}
_LONGEST: Final = max(map(len, _PHRASES))
_KNOWN: Final = frozenset(word for phrase in _PHRASES for word in phrase) | ABOUT | CONTEXT | OF_FIRMS
