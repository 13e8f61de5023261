"""Made-up people: names, addresses, phones, birth dates, accounts. All of it is synthetic.

Phones come from ranges that regulators set aside for fiction, most mail domains are reserved for examples, and a local
part with the customer's number and ``demo`` belongs to nobody at the common ones.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_platform.demo.columns import digits, either, joined, words
from feature_platform.demo.population import COUNTRIES
from feature_platform.demo.randomness import Draw, Flags, Integers, table

_FIRST_NAMES: Final = """
Amelia Oliver Isla George Ava Noah Freya Arthur Lily Leo Lena Finn Mia Jonas Zoë Jürgen Hannah Lukas Anaïs François
Chloé Hugo Camille Léa Théo Mason Emma Liam Sophia Ethan Harper Aoife Seán Niamh Oisín Astrid Björn Linnéa Åke
Søren Priya Arjun Wei Yusuf Fatima Kofi Ngozi Marta Paweł Ioana
"""
_LAST_NAMES: Final = """
Smith Jones Taylor Brown Patel Wilson Evans Walker Okafor Clarke Müller Schmidt Schneider Fischer Weber Wagner
Becker Schäfer Koch Yıldız Martin Bernard Dubois Petit Durand Leroy Moreau Lefèvre Garcia Johnson Williams Miller
Davis Rodriguez Nguyen Lee Murphy O'Brien Kelly Walsh Byrne Andersson Johansson Lindqvist Åberg Öhman Nowak
Kowalska Popescu Silva
"""
_FIRST: Final = tuple(_FIRST_NAMES.split())
_LAST: Final = tuple(_LAST_NAMES.split())
_FOLD: Final = str.maketrans("ëüïçéíåøöäıłèáñčšžÅÖ", "euiceiaooaileancszao")
_SAFE_DOMAINS: Final = ("example.com", "example.org", "example.net", "mail.example.com", "post.example.org")
_COMMON_DOMAINS: Final = ("gmail.com", "outlook.com", "yahoo.com", "gmx.de", "orange.fr", "icloud.com")

_STREETS: Final = (
    ("Sample Street", "Mill Lane", "Station Road", "Church Close"),
    ("Musterstraße", "Lindenweg", "Bahnhofstraße", "Am Beispielplatz"),
    ("rue de l'Exemple", "avenue des Tilleuls", "place du Marché", "rue Haute"),
    ("Sample Avenue", "Oak Drive", "Main Street", "2nd Street"),
    ("Sample Quay", "Abbey Street", "Strand Road", "Mill Park"),
    ("Exempelgatan", "Storgatan", "Björkvägen", "Kyrkogatan"),
)
_CITIES: Final = (
    ("London", "Leeds", "Bristol", "Glasgow"),
    ("Berlin", "Köln", "München", "Leipzig"),
    ("Paris", "Lyon", "Nantes", "Lille"),
    ("Springfield", "Austin", "Portland", "Albany"),
    ("Dublin", "Cork", "Galway", "Sligo"),
    ("Stockholm", "Göteborg", "Malmö", "Umeå"),
)
_POSTCODES: Final = (
    "SW1A 9##",
    "LS1 9##",
    "#####",
    "#####",
    "#####",
    "#####",
    "#####",
    "#####",
    "A65 F###",
    "D01 X###",
)
_POSTCODE_PATTERN: Final = table([0, 2, 4, 6, 8, 8])
_LETTERS: Final = "ABDEFGHJLNPQRSTUWXYZ"

# Set aside for fiction by Ofcom, Bundesnetzagentur, ARCEP, NANPA, ComReg and PTS; # is a digit.
_PHONES: Final = (
    "+44 7700 900###",
    "+49 30 23125###",
    "+33 6 3998####",
    "+1 212 555 01##",
    "+353 20 91#####",
    "+46 70 17406##",
)


def full_name(draw: Draw, label: str, people: Integers) -> tuple[pa.Array, pa.Array]:
    """(name, the same in lower-case ASCII with dots), drawn for ``people``."""
    first = draw.below(f"{label} first name", people, len(_FIRST))
    last = draw.below(f"{label} last name", people, len(_LAST))
    plain_first = [_plain(name) for name in _FIRST]
    plain_last = [_plain(name) for name in _LAST]
    name = joined(words(_FIRST, first), " ", words(_LAST, last))
    return name, joined(words(plain_first, first), ".", words(plain_last, last))


def email(draw: Draw, people: Integers, plain_name: pa.Array, number: Integers) -> pa.Array:
    """Addresses with ``number`` in them, so that each is one person's; now and then written with capitals."""
    domain = draw.below("mail domain", people, len(_SAFE_DOMAINS) * len(_COMMON_DOMAINS))
    safe = draw.chance("safe domain", people, 0.7)
    plain = joined(
        plain_name,
        ".",
        digits(number),
        either(safe, "@", ".demo@"),
        either(
            safe,
            words(_SAFE_DOMAINS, domain % len(_SAFE_DOMAINS)),
            words(_COMMON_DOMAINS, domain % len(_COMMON_DOMAINS)),
        ),
    )
    return either(draw.chance("capitals in mail", people, 0.03), pc.utf8_capitalize(plain), plain)


def phone(draw: Draw, people: Integers, country: Integers) -> pa.Array:
    """International numbers of the country, written in one of three ways."""
    number = _filled(_PHONES, country, draw.below("phone", people, 10**5))
    style = draw.weighted("phone style", people, (60.0, 25.0, 15.0))
    dense = pc.replace_substring(number, " ", "")
    dashed = pc.replace_substring(number, " ", "-")
    return either(style == 0, number, either(style == 1, dense, dashed))


def address(draw: Draw, people: Integers, country: Integers) -> pa.Array:
    """Street, number and city in one line."""
    number = digits(1 + draw.below("house number", people, 180))
    street = words([name for names in _STREETS for name in names], country * 4 + draw.below("street", people, 4))
    city = words([name for names in _CITIES for name in names], country * 4 + draw.below("city", people, 4))
    before = np.isin(country, [COUNTRIES.index(name) for name in ("GB", "US", "IE", "FR")])
    line = either(before, joined(number, " ", street), joined(street, " ", number))
    return joined(line, ", ", city)


def postcode(draw: Draw, people: Integers, country: Integers) -> pa.Array:
    """In the country's form."""
    pattern = _POSTCODE_PATTERN[country] + draw.below("postcode area", people, 2)
    drawn = draw.below("postcode", people, 10**5)
    numeric = _filled(_POSTCODES, pattern, drawn)
    letters = joined(words(tuple(_LETTERS), drawn % 20), words(tuple(_LETTERS), drawn // 20 % 20))
    british = joined(words([text[:-2] for text in _POSTCODES], pattern), letters)
    return either(country == COUNTRIES.index("GB"), british, numeric)


def birth_day(draw: Draw, people: Integers) -> Integers:
    """Days since 1970, for adults of 18 to 90 years in 2026."""
    young, old = 13_880, -12_300
    chance = (draw.uniform("birth", people) + draw.uniform("birth, again", people)) / 2
    return (old + chance * (young - old)).astype(np.int64)


def iban(draw: Draw, holders: Integers, country: Integers) -> tuple[pa.Array, Flags]:
    """(account numbers with valid check digits (ISO 13616), where there are none). Bank codes are ``TEST`` or zeros."""
    account = draw.below("account", holders, 10**9)
    numbers = [
        _IBAN_BODIES[where](number) if where in _IBAN_BODIES else ""
        for where, number in zip((COUNTRIES[place] for place in country), account.tolist(), strict=True)
    ]
    codes = [COUNTRIES[place] for place in country]
    full = [f"{code}{_iban_check(code, body)}{body}" if body else "" for code, body in zip(codes, numbers, strict=True)]
    return pa.array(full, pa.string()), np.array([not body for body in numbers])


_IBAN_BODIES: Final = {
    "GB": lambda account: f"TEST000000{account % 10**8:08d}",
    "DE": lambda account: f"00000000{account:010d}",
    "FR": lambda account: f"0000000000{account:011d}00",
    "IE": lambda account: f"TEST000000{account % 10**8:08d}",
    "SE": lambda account: f"000{account:017d}",
}


def _iban_check(code: str, body: str) -> str:
    as_digits = "".join(str(int(character, 36)) for character in f"{body}{code}00")
    return f"{98 - int(as_digits) % 97:02d}"


def _plain(name: str) -> str:
    return name.lower().translate(_FOLD).replace("'", "")


def _filled(patterns: tuple[str, ...], which: Integers, number: Integers) -> pa.Array:
    """``patterns[which]`` with its # replaced by the digits of ``number``, of which there are at most five."""
    texts = []
    for pattern in patterns:
        places = pattern.count("#")
        head, tail = pattern[: pattern.index("#")], pattern[pattern.rindex("#") + 1 :]
        texts.append(joined(head, digits(number % 10**places, places), tail))
    return pc.choose(pa.array(which), *texts)
