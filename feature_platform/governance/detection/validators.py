"""Whether a hit of a pattern really is what it looks like. Checksums where there are some, plausibility elsewhere.

A text counts in any of its :func:`~feature_platform.governance.detection.readings.readings`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, Final

from feature_platform.governance.detection.patterns import CARD
from feature_platform.governance.detection.readings import readings
from feature_platform.governance.transforms.cards import luhn
from feature_platform.governance.transforms.contact import CALLING_CODES

_MAILBOX: Final = re.compile(r"[^\s@<>\"',;:()\[\]]{1,64}@([^\s@<>\"',;:()\[\]/]+\.[^\W\d_]{2,24})(?![\w-])")
_ENDINGS: Final = "css csv gif gz html ico jpeg jpg js json log md pdf png py sql svg tar tgz txt webp xml yaml yml zip"
_FILE_ENDINGS: Final = frozenset(_ENDINGS.split())
_VERSION: Final = re.compile(r"[v^~=]?[0-9]+\.[0-9]")
_IBAN: Final = re.compile(r"(?<![0-9A-Z])([A-Z]{2}[0-9]{2}(?:[ -]?[0-9A-Z]){11,30})")
_IBAN_LENGTHS: Final = """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24
    FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32
    LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24
    RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
"""ISO 13616 registry: country and length."""
IBAN_LENGTHS: Final = {entry[:2]: int(entry[2:]) for entry in _IBAN_LENGTHS.split()}
_PHONE: Final = re.compile(r"(?<![0-9A-Za-z])\+[1-9][0-9 ().-]{6,18}[0-9]")
_V4: Final = re.compile(r"(?<![0-9A-Za-z.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z]|\.[0-9])")
_V6: Final = re.compile(r"(?<![0-9A-Za-z:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z:])")
_MAC: Final = re.compile(
    r"(?<![0-9A-Za-z:.-])[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})(?![0-9A-Za-z]|[:-][0-9A-Fa-f]{2})"
)
"""Six bytes and no more: a certificate's fingerprint has twenty."""
_CARD: Final = re.compile(CARD)


def valid_part(classification: str, text: str) -> str | None:
    """The first part of ``text`` that is a valid value of the class; None if there is none, or no validator.

    >>> valid_part("email", "write to jan@example.com, please")
    'jan@example.com'
    """
    validator = _VALIDATORS.get(classification)
    if validator is None:
        return None
    return next((part for reading in readings(text) if (part := validator(reading))), None)


def _email(text: str) -> str | None:
    return _first(_MAILBOX, text, _is_mailbox)


def _is_mailbox(match: re.Match[str]) -> bool:
    """Not a file for a double resolution (``logo@2x.png``), not a package with its version (``pkg@1.2.0-rc.one``)."""
    return match[1].rsplit(".", 1)[1].lower() not in _FILE_ENDINGS and not _VERSION.match(match[1])


def _card(text: str) -> str | None:
    return _first(_CARD, text, lambda match: luhn(re.sub("[ -]", "", match[1])), group=1)


def _iban(text: str) -> str | None:
    return _first(_IBAN, text.upper(), lambda match: _mod_97(match[1]))


def _mod_97(candidate: str) -> bool:
    length = IBAN_LENGTHS.get(candidate[:2])
    compact = re.sub("[ -]", "", candidate)
    grouped = len(compact) != len(candidate)
    if length is None or len(compact) < length or (len(compact) > length and not grouped):
        return False
    moved = compact[4:length] + compact[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _phone(text: str) -> str | None:
    return _first(_PHONE, text, lambda match: _is_phone(match[0]))


def _is_phone(candidate: str) -> bool:
    numbers = _phonenumbers()
    if numbers is None:
        digits = re.sub("[^0-9]", "", candidate)
        return 8 <= len(digits) <= 15 and any(digits.startswith(code) for group in CALLING_CODES for code in group)
    try:
        return bool(numbers.is_valid_number(numbers.parse(candidate)))
    except numbers.NumberParseException:
        return False


@cache
def _phonenumbers() -> Any:
    try:
        import phonenumbers
    except ImportError:
        return None
    return phonenumbers


def _ip(text: str) -> str | None:
    """An address, not a version number: one with a part of three digits that is no browser's ``120.0.0.0``, or IPv6."""
    return _first(_V4, text, lambda match: _is_v4(match[0])) or _first(_V6, text, lambda match: _is_v6(match[0]))


def _is_v4(candidate: str) -> bool:
    try:
        parts = IPv4Address(candidate).packed
    except AddressValueError:
        return False
    return parts[0] > 0 and max(parts) >= 100 and parts[1:] != b"\0\0\0"


def _is_v6(candidate: str) -> bool:
    groups = [group for group in candidate.split(":") if group]
    try:
        # `abc::de` is a name in a program, two bytes in every group are a hardware address
        return int(IPv6Address(candidate)) > 0xFFFF and len(groups) >= 3 and any(len(group) > 2 for group in groups)
    except AddressValueError:
        return False


def _device(text: str) -> str | None:
    return _first(_MAC, text, lambda match: len(set(re.findall("[0-9A-Fa-f]", match[0]))) > 1)


def _first(pattern: re.Pattern[str], text: str, valid: Callable[[re.Match[str]], bool], group: int = 0) -> str | None:
    return next((match[group] for match in pattern.finditer(text) if valid(match)), None)


_VALIDATORS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "email": _email,
    "payment_card": _card,
    "iban": _iban,
    "phone": _phone,
    "ip_address": _ip,
    "device_id": _device,
}
