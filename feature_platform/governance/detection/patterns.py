"""Patterns that engines run over every row. They see too much on purpose; :mod:`validators` decides.

Portable: ASCII classes written out, no look-around, no back-references, so DuckDB (RE2), PostgreSQL and Python agree.
Two coarse patterns tell which columns deserve a closer look. They are two because one automaton for all of it is six
times slower in RE2: a run of thirteen digits multiplies the states of everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from feature_platform.governance.detection.encoded import (
    BASE64,
    BASE64_AT,
    BASE64_DIGITS,
    BASE64_HEAD,
    HEX_AT,
    HEX_DIGITS,
)
from feature_platform.governance.detection.parts import Part, shapes
from feature_platform.governance.detection.readings import ODD, ODD_PARTS

_START: Final = "(?:^|[^0-9A-Za-z])"
_END: Final = "(?:$|[^0-9A-Za-z])"
AT: Final = "(?:@|%(?:25)?40|\uff20|&#(?:64|[xX]40);|&commat;|\\\\u0040)"

LONG_NUMBER: Final = "[0-9]{13}"
"""Coarse pattern for numbers that may be cards."""
LONG: Final = Part(LONG_NUMBER, shortest=13)

_NATIONAL_IDS: Final = (
    Part(
        "[0-9]{3}-[0-9]{2}-[0-9]{4}"  # US
        "|[0-9]{6}[-+A][0-9]{3}[0-9A-Ya-y]"  # Nordic countries
        "|[0-9]{6}-[1-8][0-9]{6}",  # Korea
        like=shapes("%?____%", "-+A"),
    ),
    Part(
        "[A-Za-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-Da-d]"  # UK
        "|(?:[0-9]{8}|[XYZxyz][ -]?[0-9]{7})[ -]?[A-Za-z]"  # Spain
        "|[A-Za-z]{6}[0-9L-V]{2}[A-Ta-t][0-9L-V]{2}[A-Za-z][0-9L-V]{3}[A-Za-z]",  # Italy
        shortest=9,
        has="letter",
    ),
    Part("[0-9]{3}[.][0-9]{3}[.][0-9]{3}-[0-9]{2}", like=("%.___.___-__%",)),  # Brazil
    Part("756[.][0-9]{4}[.][0-9]{4}[.][0-9]{2}", like=("%756.____.____.__%",)),  # Switzerland
    Part("[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", shortest=18, has="upper"),  # Mexico
    Part("P<[A-Z]{3}[A-Z<]{20}", like=("%P<___%",)),  # passports, machine readable
)
"""Forms of national identifiers that are special enough to count inside other text. Those that the same values could
be share a pattern, since each costs a pass over the value."""

_LOWER_IBAN: Final = "[a-z]{2}[0-9]{2}"

PARTS: Final = (
    Part(f"[^@ ]{AT}[^@ ]", one_of="@%\uff20&\\"),
    Part("[+][1-9][0-9 ().-]{6}", one_of="+"),
    Part("[0-9][.][0-9]{1,3}[.][0-9]{1,3}[.][0-9]", like=("%._%._%._%",)),
    Part("(?:[0-9A-Fa-f]{0,4}:){3}", like=("%:%:%:%",)),
    Part("(?:[0-9A-Fa-f]{2}-){5}", like=("%-__-__-__-__-%",)),
    Part("[0-9]{6}/[0-9]{3}", like=("%/___%",)),
    Part("[A-Z]{2}[0-9]{2}[ -]?[0-9A-Z]{4}", shortest=8, has="upper"),
    Part(
        f"{_START}{_LOWER_IBAN}[ -]?[0-9a-z]{{4}}(?:[ -]?[0-9]{{4}}){{2}}",
        shortest=16,
        has="lower",
        head=f"{_START}{_LOWER_IBAN}",
    ),
    Part(f"{_START}[2-6][0-9]{{3}}[ -][0-9]{{4,6}}[ -][0-9]{{4}}", like=shapes("%?____%?____%", " -")),
    *(replace(part, pattern=f"{_START}(?:{part.pattern}){_END}") for part in _NATIONAL_IDS),
    *ODD_PARTS,
    Part(BASE64, shortest=12, has="letter", head=BASE64_HEAD),
    Part(HEX_AT, like=("%40__%2E____%", "%40__%2e____%")),
    Part(HEX_DIGITS, like=("%3_3_3_3_3_3_3_3_3_%",)),
)
"""The alternatives of the coarse pattern."""

SUSPICIOUS: Final = "|".join(part.pattern for part in PARTS)
"""Coarse pattern for everything but long numbers."""

_IIN: Final = (
    "4[0-9]{12}(?:[0-9]{3})?(?:[0-9]{3})?",  # Visa
    "5[1-5][0-9]{14}",  # Mastercard
    "2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9][0-9]|7[01][0-9]|720)[0-9]{12}",  # Mastercard from 2017
    "3[47][0-9]{13}",  # American Express
    "3(?:0[0-5]|[689][0-9])[0-9]{11,16}",  # Diners Club
    "35(?:2[89]|[3-8][0-9])[0-9]{12,15}",  # JCB
    "6(?:011|22[0-9]|4[4-9][0-9]|5[0-9]{2})[0-9]{12,15}",  # Discover, UnionPay
    "(?:50|5[6-8]|6[0-9])[0-9]{11,17}",  # Maestro
)
_GROUPED: Final = tuple(
    pattern.replace("_", separator)
    for separator in (" ", "-")
    for pattern in (
        "(?:[3-6][0-9]{3}|2[2-7][0-9]{2})_[0-9]{4}_[0-9]{4}_[0-9]{1,7}",
        "3[0-9]{3}_[0-9]{6}_[0-9]{4,5}",
    )
)

CARD: Final = f"(?:^|[^0-9A-Za-z.])({'|'.join((*_IIN, *_GROUPED))}){_END}"
"""A number with an issuer's prefix and length; its first group is the number."""

PATTERNS: Final[Mapping[str, str]] = {
    "email": f"[^@ \\t\\r\\n]{AT}[^@ \\t\\r\\n]+[.][^@ .\\t\\r\\n]{{2}}",
    "payment_card": CARD,
    "iban": f"{_START}[A-Za-z]{{2}}[0-9]{{2}}(?:[ -]?[0-9A-Za-z]{{4}}){{2,7}}",
    "phone": f"{_START}[+][1-9][0-9 ().-]{{6,18}}[0-9]",
    "ip_address": (
        "(?:^|[^0-9A-Za-z.])[0-9]{1,3}(?:[.][0-9]{1,3}){3}(?:$|[^0-9A-Za-z.]|[.]$)"
        "|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?:[0-9A-Fa-f]{0,4}:){2,6}:[0-9A-Fa-f]{0,4}"
    ),
    "national_id": f"{_START}(?:{'|'.join(part.pattern for part in _NATIONAL_IDS)}){_END}",
    "birth_number": f"{_START}[0-9]{{6}}/[0-9]{{3,4}}{_END}",
    "device_id": f"{_START}(?:[0-9A-Fa-f]{{2}}:){{5}}[0-9A-Fa-f]{{2}}{_END}"
    f"|{_START}(?:[0-9A-Fa-f]{{2}}-){{5}}[0-9A-Fa-f]{{2}}{_END}",
}
"""By class; run on columns where a coarse pattern matched."""

ENCODED: Final[Mapping[str, str]] = {
    "encoded_email": f"{BASE64_AT}|{HEX_AT}",
    "encoded_number": f"{BASE64_DIGITS}|{HEX_DIGITS}",
    "encoded": f"{ODD}|{BASE64}",
}
"""Texts that have to be decoded before anything can be said, the most telling first; run on the same columns."""
