"""Databases that a guarded query must not tell apart.

A *world* is a database. The worlds of a pair share their structure: which person sits in which row, and everything
clear. They also agree on what the policy lets out of a classified column, and on nothing else:

* tokenised (e-mail, card, device): who is whom, NULLs, domain, first six and last four digits are the same; everything
  else differs, spelling, case, order and length too;
* redacted (name): NULLs are the same; values differ, and which of them are equal;
* denied but open to a transform (birth date, network address): the year and the age at every moment of the data, the
  prefix; day and month, the rest of the address, and which of them are equal, differ;
* denied (phone, free text): values, which of them are equal, and NULLs differ.

World ``A`` alone holds the canaries, well known values for queries to ask after.

A token tells who somebody is and nothing else, so here ``fp_token`` gives the person's number; what is no whole value
of a person comes out as it is, and gives itself away.

For labels there are more worlds: ``email``, ``card``, ``birth``, ``ip`` and ``name`` are ``A`` with other permitted
forms of that class, ``token`` is ``A`` with other numbers for the same persons. What differs from ``A`` there has to
be labelled.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from feature_platform.governance.canonical import canonical

PEOPLE: Final = 6
PAIRS: Final = 3
CANARIES: Final = ("adam.1@seznam.cz", "4111129021121001", "Adam 1", "+420600000010", "1971-05-04", "192.0.3.10")
"""Values of person 1 in the first pair's world A."""
LABELLED: Final = {
    "email": "email",
    "card": "payment_card",
    "birth": "birth_date",
    "ip": "ip_address",
    "name": "person_name",
}
"""World → the class whose permitted forms are others there."""

_DOMAINS: Final = ("gmail.com", "seznam.cz", "rare{}.example")
_NOON: Final = datetime.fromisoformat("2025-11-20T12:00:00")
"""All times of the data lie in the winter after it, all birthdays in summer: nobody's age depends on the world."""


@dataclass(frozen=True)
class World:
    """One database: its pair, and its side or what it is for."""

    pair: int
    side: str = "A"

    def classified(self, person: int) -> dict[str, Any]:
        """The values of a person's classified columns."""
        other = self.side == "B"
        order = PEOPLE - person if other else person
        moved = {name: min(person + 1, PEOPLE - 1) if self.side == name else person for name in LABELLED}
        domain = _DOMAINS[(moved["email"] + self.pair) % 3].format("-b" if other else "")
        card = moved["card"]
        middle = 317_000 + order * 7 if other else 902_111 + order + self.pair
        held = {
            "email": f"{('zoe', 'Zuzana.von.B', 'z')[self.pair] if other else 'adam'}.{order}@{domain}",
            "name": "Žofie" if other else f"Adam {person}",
            "birth_date": date(1970 + moved["birth"] // 2 * 2 + 1, 9 if other else 5, 3 + (0 if other else person)),
            "phone": f"+420{600_000_000 + (7 if other else person * 10)}",
            "card_number": f"4111{11 + card % 2}{middle:06d}{1000 + card}",
            "device": f"{('F-' if other else '0')}{order}" + ("x" * person if other else ""),
            "ip": f"192.0.{2 + moved['ip'] % 3}.{77 if other else 10 + person // 3}",
            "agent": f"Mozilla {order * 3}" if other else f"by {CANARIES[person % 3]}",
        }
        return self._with_gaps(person, held)

    def _with_gaps(self, person: int, held: dict[str, Any]) -> dict[str, Any]:
        other = self.side == "B"
        gaps = {"phone": person == 1 if other else person % 3 == 2, "agent": person == 2 if other else person == 4}
        gaps["name"] = person == 3 or (self.side == "name" and person == 0)
        match self.pair:
            case 1:
                gaps |= {"email": person == 0, "birth_date": person == 2, "card_number": person == 5}
            case 2:
                gaps |= {"ip": person in (1, 2), "device": person == 4}
                if person == 2:  # what is no address, no card
                    held |= {"email": "none" if other else "n/a", "card_number": "????" if other else "-7"}
        if other and person == 3 and held["card_number"][0] == "4":  # other spelling, same card
            number = held["card_number"]
            held["card_number"] = f"{number[:4]} {number[4:]}"
        return {name: None if gaps.get(name) else value for name, value in held.items()}

    def token_number(self, person: int) -> int:
        """The number that tokens of a person show."""
        return person + 50 if self.side == "token" else person

    def tokens(self) -> dict[str, str]:
        """``class:canonical value`` → what stands for the token."""
        found = {}
        for person in range(PEOPLE):
            held = self.classified(person)
            for classification, name in (("email", "email"), ("payment_card", "card_number"), ("device_id", "device")):
                if held[name] is not None:
                    value = canonical(classification, held[name])
                    found[f"{classification}:{value}"] = f"{classification} {self.token_number(person)}"
        return found

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of every table, by its name; structure and clear values depend on the pair alone."""
        chance = random.Random(self.pair)
        people = [self.classified(person) for person in range(PEOPLE)]
        return {
            "customers": [_customer(person, held, chance) for person, held in enumerate(people)],
            "transactions": [_transaction(number, people, chance) for number in range(12)],
            "merchants": [
                (number, ("5411", "6011", None, "7995")[number], number / 4, _NOON.date() + timedelta(days=number))
                for number in range(4)
            ],
            "Logins": [_login(number, people, chance) for number in range(8)],
            "card_spend": [self._spend(number, chance) for number in range(7)],
            "card_trend": [
                (self._token(number), _moment(chance), _moment(chance), chance.randrange(3), number % 2 == 0)
                for number in range(4)
            ],
        }

    def _token(self, person: int) -> str:
        return f"payment_card {self.token_number(person)}"

    def _spend(self, number: int, chance: random.Random) -> tuple[Any, ...]:
        person = number % PEOPLE
        issuer = f"4111{11 + (min(person + 1, PEOPLE - 1) if self.side == 'card' else person) % 2}"
        return (self._token(person), _moment(chance), _moment(chance), Decimal(chance.randrange(900)), issuer)


def _moment(chance: random.Random) -> datetime:
    return _NOON + timedelta(days=chance.randrange(60), minutes=chance.randrange(600))


def _customer(person: int, held: dict[str, Any], chance: random.Random) -> tuple[Any, ...]:
    country = chance.choice(("CZ", "SK", "PL", None))
    return (
        person,
        held["email"],
        held["name"],
        held["birth_date"],
        held["phone"],
        country,
        _moment(chance),
        held["card_number"],
    )


def _transaction(number: int, people: list[dict[str, Any]], chance: random.Random) -> tuple[Any, ...]:
    person = number * 5 % PEOPLE
    time = _moment(chance)
    return (
        number,
        people[person]["card_number"],
        chance.randrange(PEOPLE),
        Decimal(chance.randrange(1_000)) / 10 if number % 5 else None,
        number % 4,
        number / 4,
        chance.choice(("CZ", "SK", "DE")),
        people[number % PEOPLE]["device"],
        number % 4,
        chance.choice((True, False, None)),
        time,
        time + timedelta(minutes=5),
        time.date(),
    )


def _login(number: int, people: list[dict[str, Any]], chance: random.Random) -> tuple[Any, ...]:
    person = number % PEOPLE
    tags = chance.choice((["CZ", "web"], ["app"], [], None))
    return (number, chance.randrange(PEOPLE), people[person]["ip"], people[person]["agent"], tags, _moment(chance))
