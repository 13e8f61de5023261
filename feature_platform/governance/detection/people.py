"""Names of people in texts, by dictionaries and the form of a name: never one cell, only the share of a column's
distinct values.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from feature_platform.governance.detection.dictionaries import FIRM_WORDS, FIRST_NAMES, SURNAME_ENDINGS, SURNAMES
from feature_platform.governance.detection.finding import Finding, shape

_WORD: Final = r"[^\W\d_]+"
_WORDS: Final = re.compile(rf"{_WORD}(?:['’]{_WORD})?")
_NAME: Final = re.compile(rf"(?:{_WORD}['’.-]?[ ,]{{0,2}}){{1,6}}")
_LONGEST: Final = 60
_TITLE_WORDS: Final = """
    bc don dona dr frau fr herr hr ing jr mgr miss mlle mme mr mrs ms mudr pan pani phd prof sir sr sra
"""
_TITLES: Final = frozenset(_TITLE_WORDS.split())
_PARTICLE_WORDS: Final = "af al av bin da das de del della den der di dos du el ibn la le ten ter van von zu"
_PARTICLES: Final = frozenset(_PARTICLE_WORDS.split())

_FULL_ALONE: Final = 0.3
_SINGLE_ALONE: Final = 0.5
_NAMED: Final = 0.1
_FEW: Final = 3
_FEW_SINGLE: Final = 8


def judge_names(texts: Sequence[str], named: str | None) -> Finding | None:
    """The finding ``person_name`` in the distinct texts of a column.

    Two known words make a full name: three in ten texts are enough. Given names or surnames alone are words that firms,
    places and products have too: half of the texts have to be ones.
    """
    if not texts:
        return None
    by_name = named == "person_name"
    sizes = [(text, known_words(text)) for text in texts]
    full = [text for text, known in sizes if known >= 2]
    single = [text for text, known in sizes if known >= 1]
    for found, share_needed, few in ((full, _FULL_ALONE, _FEW), (single, _SINGLE_ALONE, _FEW_SINGLE)):
        share = len(found) / len(texts)
        if (by_name and found and share >= _NAMED) or (len(found) >= few and share >= share_needed):
            return Finding("person_name", 0.97 if by_name else 0.85, "dictionary", len(found), share, shape(found[0]))
    return None


def known_words(text: str) -> int:
    """How many words of what is written like a name are known as names: 0 of everything else, 2 of a whole name.

    >>> known_words("Jan Novák"), known_words("Hugo Boss AG"), known_words("Novotná")
    (2, 0, 1)
    """
    if len(text) > _LONGEST or not _NAME.fullmatch(text.strip()):
        return 0
    words = [word for word in words_of(text) if word not in _TITLES]
    if not words or FIRM_WORDS & set(words):
        return 0
    core = [word for word in words if len(word) > 1 and word not in _PARTICLES]
    if len(core) > 4:
        return 0
    given = sum(word in FIRST_NAMES for word in core)
    family = sum(word not in FIRST_NAMES and _is_surname(word) for word in core)
    if given and len(words) >= 2 and len(core) <= 4:
        # A given name and any other capitalised word; of three words, two have to be known.
        others = len(core) - given - family
        return 2 if others <= 1 and _capitalised(text) else 1
    return 2 if family >= 2 else given + family


def _is_surname(word: str) -> bool:
    return word in SURNAMES or (len(word) >= 6 and word.endswith(SURNAME_ENDINGS))


def _capitalised(text: str) -> bool:
    words = [word for word in _WORDS.findall(text) if word.lower() not in _PARTICLES]
    return all(word[0].isupper() for word in words) or text.islower()


def words_of(text: str) -> list[str]:
    """Words in lower case, without accents."""
    return [word.replace("’", "'") for word in _WORDS.findall(plain(text).lower())]


def plain(text: str) -> str:
    """Without accents."""
    decomposed = unicodedata.normalize("NFKD", text.strip())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return bare.translate(_LIGATURES)


_LIGATURES: Final = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "æ": "ae", "œ": "oe"})
