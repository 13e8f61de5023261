"""Postal addresses by the words and the form of a street with its number, in the languages of our markets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from feature_platform.governance.detection.finding import Finding, shape
from feature_platform.governance.detection.people import plain

_NUMBER: Final = r"[0-9]{1,5}(?: ?[a-z])?(?:[/-][0-9]{1,5}[a-z]?)?"
_SUFFIXES: Final = (
    "street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|square|sq|place|pl|terrace|way|close|crescent"
    "|gardens|grove|hill|mews|parade|row|walk|highway|hwy|parkway|pkwy|circle|quay"
)
_PREFIXES: Final = (
    "rue|avenue|av|boulevard|bd|chemin|allee|allees|impasse|place|quai|route|cours|via|viale|piazza|piazzale|corso|largo"
    "|vicolo|calle|c/|avda|avenida|paseo|plaza|carrer|camino|ronda|rua|travessa|praca|estrada|alameda|ulica|ul|aleja|al"
    "|aleje|plac|osiedle|os|ulice|namesti|nam|trida|nabrezi"
)
_ENDINGS: Final = (
    "strasse|str\\.|gasse|allee|weg|platz|ring|damm|ufer|chaussee|straat|laan|plein|gracht|kade|singel|dijk|hof|gatan"
    "|vagen|gata|vej|gade|veien|gate|katu|tie|ova|ska|cka"
)
_STREET: Final = re.compile(
    rf"(?<!\w){_NUMBER},? (?:[^\W\d_]['\w.-]{{0,20}} ){{1,4}}(?:{_SUFFIXES})(?![\w])"
    rf"|(?<!\w){_NUMBER},? (?:bis |ter )?(?:{_PREFIXES})\.? [^\W\d_]"
    rf"|(?<!\w)(?:{_PREFIXES})\.? ?(?:[^\W\d_]['\w.-]{{0,20}},? ){{1,5}}(?:n[.o°]? ?)?{_NUMBER}(?!\w)"
    rf"|\w{{2,25}}(?:{_ENDINGS}) {_NUMBER}(?!\w)"
    rf"|(?<!\w)(?:[^\W\d_]['\w.-]{{1,20}} ){{1,3}}(?:strasse|str\.|platz|weg|allee|ulice|namesti|trida) {_NUMBER}",
    re.IGNORECASE,
)
_LINE: Final = re.compile(
    r"(?<!\w)[A-Z][a-z][\w'. -]{1,40} [0-9]{1,4}[a-z]?(?:/[0-9]{1,4})?,? (?:[A-Z]{1,2}-)?"
    r"(?:[0-9]{5}|[0-9]{4}|[0-9]{3} [0-9]{2}|[0-9]{2}-[0-9]{3}|[0-9]{4}-[0-9]{3})(?: [A-Z]{2})? [A-Z][a-z]"
)
"""Street, number, postcode, town."""
_BOX: Final = re.compile(
    r"(?<!\w)(?:p\.? ?o\.? ?box|postfach|postbus|boite postale|bp|apartado)(?: de correos)? [0-9]", re.IGNORECASE
)
_THINGS: Final = re.compile(
    r"\b(?:gb|tb|mb|mm|cm|kg|inch|usb|ssd|hdd|hard|flash|pack|pcs|ml|watt|volt|mah)\b", re.IGNORECASE
)
_LONGEST: Final = 200
_ALONE: Final = 0.2
_NAMED: Final = 0.1
_FEW: Final = 3


def judge_addresses(texts: Sequence[str], named: str | None) -> Finding | None:
    """The finding ``address`` in the distinct texts of a column."""
    if not texts:
        return None
    by_name = named == "address"
    found = [text for text in texts if is_address(text)]
    share = len(found) / len(texts)
    if not found or share < (_NAMED if by_name else _ALONE) or (not by_name and len(found) < _FEW):
        return None
    return Finding("address", 0.97 if by_name else 0.8, "shape", len(found), share, shape(found[0]))


def is_address(text: str) -> bool:
    """Whether a text of an address' length has a street with a number, or a box, in it."""
    if len(text) > _LONGEST:
        return False
    bare = plain(text)
    return not _THINGS.search(bare) and bool(_STREET.search(bare) or _LINE.search(bare) or _BOX.search(bare))
