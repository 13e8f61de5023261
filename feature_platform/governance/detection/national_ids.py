"""National identifiers of people, by their official rules: form, dates inside, check digits.

Each scheme says how likely a random text of its form is to be valid. That decides how many it takes: one Italian
fiscal code is a finding, one number with a right eleven-test is not (:func:`judge_ids`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from feature_platform.governance.detection.chance import convincing, is_counter
from feature_platform.governance.detection.finding import Finding, shape
from feature_platform.governance.transforms.cards import luhn
from feature_platform.governance.transforms.national_ids import CZECH


@dataclass(frozen=True, slots=True)
class Scheme:
    """One country's identifier."""

    name: str
    form: re.Pattern[str]
    """Of the text as written; searched for inside texts, or compared with whole ones."""
    valid: Callable[[str], bool]
    """Of the compact form: upper case, letters and digits only."""
    chance: float
    """Part of random texts of that form that are valid."""
    inside: bool = False
    """The form is so special that it counts inside other text, and one is enough."""
    share: float = 0.6
    """Part of the texts of that form that have to be valid."""
    classification: str = "national_id"


def compact(text: str) -> str:
    """Upper case, without what people put between."""
    return re.sub(r"[^0-9A-Z]", "", text.upper())


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        return 1900 <= date(year, month, day).year <= date.today().year  # noqa: DTZ011 - a year's precision
    except ValueError:
        return False


def _is_birthday(year: int, month: int, day: int) -> bool:
    """Whether two digits of a year, a month and a day are a date in either century."""
    return _is_day(1900 + year, month, day) or _is_day(2000 + year, month, day)


def _yymmdd(digits: str) -> bool:
    return _is_birthday(int(digits[:2]), int(digits[2:4]), int(digits[4:6]))


def _ddmmyy(digits: str) -> bool:
    return _is_birthday(int(digits[4:6]), int(digits[2:4]), int(digits[:2]))


def _ssn(text: str) -> bool:
    """US Social Security Administration: no area 000, 666, 9xx, no zero group or serial."""
    return text[:3] not in ("000", "666") and text[0] != "9" and text[3:5] != "00" and text[5:] != "0000"


def _nino(text: str) -> bool:
    """HM Revenue & Customs, NIM39110."""
    return (
        text[0] not in "DFIQUV"
        and text[1] not in "DFIOQUV"
        and text[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")
    )


def _nhs(text: str) -> bool:
    check = -_weighted(text, range(10, 1, -1)) % 11
    return check != 10 and check == int(text[9]) and len(set(text)) > 1


def _pesel(text: str) -> bool:
    century, month = divmod(int(text[2:4]), 20)
    base = (1900, 2000, 2100, 2200, 1800)[century]
    dated = _is_day(base + int(text[:2]), month, int(text[4:6]))
    return dated and -_weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10 == int(text[10])


def _dni(text: str) -> bool:
    number = "XYZ".find(text[0])
    digits = f"{number}{text[1:-1]}" if number >= 0 else text[:-1]
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == text[-1]


_ODD_VALUES: Final = dict(
    zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10,
        22, 25, 24, 23,
    ), strict=True)
)  # fmt: skip


def _codice_fiscale(text: str) -> bool:
    """Decree of 23 December 1976, art. 12."""
    total = sum(_ODD_VALUES[letter] for letter in text[0:15:2])
    total += sum(int(letter) if letter.isdecimal() else ord(letter) - 65 for letter in text[1:15:2])
    return chr(65 + total % 26) == text[15]


def _nir(text: str) -> bool:
    """INSEE: sex, year, month, department, commune, order; the key is 97 minus the rest."""
    month = int(text[3:5])
    number = text[:13].replace("2A", "19").replace("2B", "18")
    dated = 1 <= month <= 12 or month == 20 or 30 <= month <= 42 or month >= 50
    return number.isdecimal() and dated and 97 - int(number) % 97 == int(text[13:])


def _iso_11_10(digits: str) -> bool:
    """ISO/IEC 7064, MOD 11,10."""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def _steuer_id(text: str) -> bool:
    """§ 139b AO: of the first ten digits one occurs twice or three times, the others once at most."""
    counts = sorted(text[:10].count(digit) for digit in set(text[:10]))
    return text[0] != "0" and counts[-1] in (2, 3) and (len(counts) < 2 or counts[-2] == 1) and _iso_11_10(text)


def _cpf(text: str) -> bool:
    first = _weighted(text, range(10, 1, -1)) * 10 % 11 % 10
    second = _weighted(text, range(11, 1, -1)) * 10 % 11 % 10
    return len(set(text)) > 1 and text[9:] == f"{first}{second}"


def _bsn(text: str) -> bool:
    digits = text.zfill(9)
    return _weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and int(digits) > 0


def _personnummer(text: str) -> bool:
    ten = text[-10:]
    day = int(ten[4:6])
    return _is_birthday(int(ten[:2]), int(ten[2:4]), day - 60 if day > 60 else day) and luhn(ten)


def _fodselsnummer(text: str) -> bool:
    day = int(text[:2])
    first = -_weighted(text, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -_weighted(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    dated = _is_birthday(int(text[4:6]), int(text[2:4]) % 40, day - 40 if day > 40 else day)
    return dated and text[9:] == f"{first}{second}"


def _hetu(text: str) -> bool:
    digits = text[:6] + text[-4:-1]
    return _ddmmyy(text) and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == text[-1]


def _rijksregister(text: str) -> bool:
    keys = {97 - int(text[:9]) % 97, 97 - int(f"2{text[:9]}") % 97}
    return _yymmdd(text) and int(text[9:]) in keys


def _ahv(text: str) -> bool:
    return -_weighted(text, (1, 3) * 6) % 10 == int(text[12])


def _tckn(text: str) -> bool:
    odd, even = sum(map(int, text[0:9:2])), sum(map(int, text[1:8:2]))
    return (odd * 7 - even) % 10 == int(text[9]) and sum(map(int, text[:10])) % 10 == int(text[10])


def _resident_id(text: str) -> bool:
    """GB 11643-1999."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    dated = _is_day(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    return dated and "10X98765432"[_weighted(text, weights) % 11] == text[17]


_D5: Final = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_P: Final = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def verhoeff(digits: str) -> bool:
    """Whether the last digit is Verhoeff's check digit of the others."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_D5[check][int(_P[place % 8][int(digit)])])
    return check == 0


def _cnp(text: str) -> bool:
    check = _weighted(text, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return _yymmdd(text[1:]) and (1 if check == 10 else check) == int(text[12])


def _egn(text: str) -> bool:
    month = int(text[2:4]) % 20
    check = _weighted(text, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    return _is_birthday(int(text[:2]), month, int(text[4:6])) and check == int(text[9])


def _nif_pt(text: str) -> bool:
    check = -_weighted(text, range(9, 1, -1)) % 11
    return (0 if check == 10 else check) == int(text[8])


def _pps(text: str) -> bool:
    extra = (ord(text[8]) - 64) * 9 if len(text) > 8 and text[8] != "W" else 0
    return "WABCDEFGHIJKLMNOPQRSTUV"[(_weighted(text, range(8, 1, -1)) + extra) % 23] == text[7]


def _rrn(text: str) -> bool:
    check = (11 - _weighted(text, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    return _yymmdd(text) and check == int(text[12])


def _czech(text: str) -> bool:
    return CZECH.day_python(text) is not None


def _always(_text: str) -> bool:
    return True


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![0-9A-Za-z]){pattern}(?![0-9A-Za-z])", re.ASCII | re.IGNORECASE)


SCHEMES: Final[tuple[Scheme, ...]] = (
    Scheme("US SSN", _form(r"(?<![0-9]-)[0-9]{3}-[0-9]{2}-[0-9]{4}(?!-[0-9])"), _ssn, 0.9, inside=True, share=0.97),
    Scheme("UK NINO", _form(r"[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"), _nino, 0.56, inside=True, share=0.9),
    Scheme("UK NHS", _form(r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}"), _nhs, 0.09),
    Scheme("PL PESEL", _form(r"[0-9]{11}"), _pesel, 0.006),
    Scheme("ES DNI", _form(r"(?:[0-9]{8}|[XYZ][ -]?[0-9]{7})[ -]?[A-Z]"), _dni, 0.045, inside=True),
    Scheme("IT codice fiscale", _form(
        r"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]"
    ), _codice_fiscale, 0.04, inside=True),
    Scheme("FR NIR", _form(
        r"[1-478] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}"), _nir, 0.007),
    Scheme("DE Steuer-ID", _form(r"[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}"), _steuer_id, 0.006),
    Scheme("BR CPF", _form(r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"), _cpf, 0.01, inside=True),
    Scheme("BR CPF digits", _form(r"[0-9]{11}"), _cpf, 0.01),
    Scheme("NL BSN", _form(r"[0-9]{8,9}"), _bsn, 0.09),
    Scheme("SE personnummer", _form(r"(?:[0-9]{2})?[0-9]{6}[-+]?[0-9]{4}"), _personnummer, 0.008),
    Scheme("NO fødselsnummer", _form(r"[0-9]{6} ?[0-9]{5}"), _fodselsnummer, 0.001),
    Scheme("DK CPR", _form(r"[0-9]{6}-[0-9]{4}"), _ddmmyy, 0.07),
    Scheme("FI HETU", _form(r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]"), _hetu, 0.002, inside=True),
    Scheme("BE rijksregister", _form(r"[0-9]{2}\.?[0-9]{2}\.?[0-9]{2}-?[0-9]{3}\.?[0-9]{2}"), _rijksregister, 0.002),
    Scheme("CH AHV", _form(r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}"), _ahv, 0.1, inside=True),
    Scheme("CH AHV digits", _form(r"756[0-9]{10}"), _ahv, 0.1),
    Scheme("TR TCKN", _form(r"[1-9][0-9]{10}"), _tckn, 0.01),
    Scheme("CN resident id", _form(r"[1-9][0-9]{16}[0-9X]"), _resident_id, 0.003),
    Scheme("IN Aadhaar", _form(r"[2-9][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}"), verhoeff, 0.1),
    Scheme("IN PAN", _form(r"[A-Z]{3}P[A-Z][0-9]{4}[A-Z]"), _always, 0.04),
    Scheme("MX CURP", _form(
        r"[A-Z]{4}[0-9]{2}[01][0-9][0-3][0-9][HMX][A-Z]{5}[0-9A-Z][0-9]"
    ), _always, 0.001, inside=True),
    Scheme("RO CNP", _form(r"[1-9][0-9]{12}"), _cnp, 0.007),
    Scheme("HR OIB", _form(r"[0-9]{11}"), _iso_11_10, 0.1),
    Scheme("BG EGN", _form(r"[0-9]{10}"), _egn, 0.02),
    Scheme("PT NIF", _form(r"[1-3][0-9]{2} ?[0-9]{3} ?[0-9]{3}"), _nif_pt, 0.1),
    Scheme("CA SIN", _form(r"[1-79][0-9]{2}[ -][0-9]{3}[ -][0-9]{3}"), luhn, 0.1),
    Scheme("IE PPS", _form(r"[0-9]{7}[A-W][A-IW]?"), _pps, 0.045),
    Scheme("KR RRN", _form(r"[0-9]{6}-[1-8][0-9]{6}"), _rrn, 0.008, inside=True),
    Scheme("passport, machine readable", _form(r"P<[A-Z]{3}[A-Z<]{20,39}"), _always, 0.001, inside=True),
    Scheme("IMEI", _form(r"(?:01|35|86|9[189])[0-9]{13}"), luhn, 0.1, classification="device_id"),
    Scheme("CZ, SK birth number", _form(
        r"[0-9]{6}/[0-9]{3,4}"
    ), _czech, 0.02, inside=True, classification="birth_number"),
    Scheme("CZ, SK birth number digits", _form(r"[0-9]{10}"), _czech, 0.015, classification="birth_number"),
)  # fmt: skip


def judge_ids(texts: Sequence[str], named: str | None) -> list[Finding]:
    """Findings in the distinct texts of a column; ``named`` is what the column's name says.

    One per classification: of several schemes that fit, the one with most valid values.
    """
    best: dict[str, Finding] = {}
    short = [text for text in texts if len(text) <= _LONGEST]
    for scheme in SCHEMES:
        found = _judged(scheme, short, len(texts), named == scheme.classification)
        if found is not None and found.rows > (best[found.classification].rows if found.classification in best else 0):
            best[found.classification] = found
    return list(best.values())


def _judged(scheme: Scheme, texts: Sequence[str], looked_at: int, named: bool) -> Finding | None:
    search = scheme.form.search if scheme.inside else scheme.form.fullmatch
    candidates = [match[0] for text in texts if (match := search(text))]
    valid = [text for text in candidates if scheme.valid(compact(text))]
    if not valid:
        return None
    single = scheme.inside and len(valid) >= (scheme.share if len(candidates) >= _MANY else _MOST) * len(candidates)
    if not single and (
        not convincing(len(valid), len(candidates), scheme.chance, share=scheme.share, named=named)
        or is_counter(candidates)
    ):
        return None
    confidence = 0.99 if named else 0.95
    return Finding(scheme.classification, confidence, "checksum", len(valid), len(valid) / looked_at, shape(valid[0]))


_LONGEST: Final = 500
"""Longer texts are prose; identifiers in prose are the engine patterns' business."""
_MANY: Final = 20
_MOST: Final = 0.6
