"""The set that detectors were adjusted with."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal

from feature_platform.governance.tokens import TokenKeys
from tests.governance import detection_pools as pools
from tests.governance.detection_corpus import Labelled, Maker, encoded, fours, negatives, positives

SEED = 20_260_214


def columns(m: Maker) -> Iterator[Labelled]:
    """Every column of the set."""
    domains = ("gmail.com", "seznam.cz", "example.com", "firma.co.uk")
    yield from positives(
        m,
        "email",
        [
            ("plain", "c1", lambda: m.mail(domains)),
            ("named", "customer_email", lambda: m.mail(domains)),
            ("in a sentence", "field_3", lambda: f"write to {m.mail(domains)}, please"),
            ("base64", "blob", lambda: encoded(m.mail(domains))),
            ("percent", "q", lambda: m.mail(domains).replace("@", "%40")),
            ("with a name", "c9", lambda: f'"{m.person("en")}" <{m.mail(domains)}>'),
            ("json", "payload", lambda: json.dumps({"id": m.digits(6), "to": m.mail(domains)})),
        ],
    )
    yield Labelled("email sparse", "remark", m.sparse(lambda: m.mail(domains)), "email")
    yield Labelled("email sparse in base64", "extra", m.sparse(lambda: encoded(m.mail(domains))), "email")
    yield from positives(
        m,
        "payment_card",
        [
            ("visa", "c1", m.card),
            ("mastercard grouped", "value", lambda: fours(m.card("53"), " ")),
            ("amex", "attr_2", lambda: m.card("37", 15)),
            ("integers", "num", lambda: int(m.card("4"))),
            ("named", "card_number", lambda: m.card("51")),
            ("base64", "ref", lambda: encoded(m.card())),
        ],
    )
    yield Labelled("card sparse", "note_1", m.sparse(m.card), "payment_card")
    yield from positives(
        m,
        "iban",
        [
            ("de", "c4", lambda: m.iban("DE")),
            ("cz", "ucet", lambda: m.iban("CZ")),
            ("gb grouped", "acc", lambda: fours(m.iban("GB", "NWBK"), " ")),
        ],
    )
    yield Labelled("iban sparse", "info", m.sparse(lambda: m.iban("AT")), "iban")
    yield from positives(
        m,
        "phone",
        [
            ("cz international", "c1", lambda: f"+420 {m.pick('67')}{m.digits(2)} {m.digits(3)} {m.digits(3)}"),
            (
                "us national",
                "c2",
                lambda: f"({m.pick('2345')}{m.pick('01')}{m.digits(1)}) {m.pick('23456')}{m.digits(2)}-{m.digits(4)}",
            ),
            ("de national", "kontakt", lambda: f"01{m.pick('567')}{m.digits(1)}/{m.digits(7)}"),
            ("digits, named", "phone_number", lambda: f"{m.pick('67')}{m.digits(8)}"),
            ("international digits, named", "msisdn", lambda: int(f"4207{m.digits(8)}")),
        ],
    )
    yield Labelled("phone sparse", "text_7", m.sparse(lambda: f"+42077{m.digits(7)}"), "phone")
    yield from positives(
        m,
        "ip_address",
        [
            (
                "v4",
                "c1",
                lambda: m.ip((81, 93, 185, 203)),
            ),
            (
                "v6",
                "c2",
                lambda: (
                    f"2001:db8:{m.chance.getrandbits(16):x}:{m.chance.getrandbits(16):x}::{m.chance.getrandbits(16):x}:1"
                ),
            ),
            (
                "named",
                "client_ip",
                lambda: f"10.{m.chance.randrange(256)}.{m.chance.randrange(256)}.{m.chance.randrange(1, 255)}",
            ),
        ],
    )
    yield from positives(
        m,
        "device_id",
        [
            ("mac", "c1", lambda: ":".join(f"{m.chance.getrandbits(8):02X}" for _ in range(6))),
            ("imei", "c2", lambda: m.card("35", 15)),
            ("named uuid", "device_id", lambda: str(uuid.UUID(int=m.chance.getrandbits(128), version=4))),
        ],
    )
    yield from positives(
        m,
        "birth_date",
        [
            ("iso", "dob", lambda: m.day(1940, 2006).isoformat()),
            ("dates", "datum_narozeni", lambda: m.day(1950, 2000)),
        ],
    )
    yield from positives(
        m,
        "national_id",
        [
            ("ssn", "c1", lambda: m.identifier("US SSN", "999-99-9999")),
            ("pesel", "c2", lambda: m.identifier("PL PESEL", "yymmdd99999")),
            ("dni", "doc", lambda: m.identifier("ES DNI", "99999999A")),
            ("cpf", "c4", lambda: m.identifier("BR CPF", "999.999.999-99")),
            ("nhs", "c5", lambda: m.identifier("UK NHS", "999 999 9999")),
            ("steuer-id", "c6", lambda: m.identifier("DE Steuer-ID", "99999999999")),
            ("passport, named", "passport_number", lambda: m.letters(2) + m.digits(7)),
        ],
    )
    yield Labelled("ssn sparse", "memo_9", m.sparse(lambda: m.identifier("US SSN", "999-99-9999")), "national_id")
    yield from positives(
        m,
        "birth_number",
        [
            ("slash", "c1", lambda: m.identifier("CZ, SK birth number", "yymmdd/9999")),
        ],
    )
    yield from positives(
        m,
        "person_name",
        [(f"{country}", "c1", lambda country=country: m.person(country)) for country in ("cz", "en", "de")],
    )
    yield from positives(
        m,
        "person_name",
        [
            ("surname first", "c2", lambda: m.person("cz", "{f}, {g}")),
            ("surnames, named", "last_name", lambda: m.person("en", "{f}")),
            ("given names", "c3", lambda: m.person("de", "{g}")),
        ],
    )
    yield from positives(m, "address", [(c, "c1", lambda c=c: m.address(c)) for c in ("en", "de", "cz")])
    yield from positives(
        m,
        "postcode",
        [
            (
                "uk",
                "c1",
                lambda: (
                    f"{m.letters(2, 'BLMNESW')}{m.chance.randrange(1, 20)} {m.digits(1)}{m.letters(2, 'ABDEFGHJLN')}"
                ),
            ),
            ("us, named", "zip_code", lambda: m.digits(5)),
        ],
    )
    yield from positives(m, "free_text", [(lang, "c8", lambda lang=lang: m.note(lang)) for lang in ("en", "de")])
    keys = TokenKeys(bytes(range(40)))
    yield from negatives(
        m,
        [
            ("merchant codes", "merchant_code", lambda: f"MC{m.digits(5)}-{m.letters(1)}"),
            ("mcc", "mcc", lambda: m.pick(("5411", "5812", "5999", "4111", "6011", "7995"))),
            ("epoch milliseconds", "ts", lambda: 1_767_225_600_000 + m.chance.randrange(10**10)),
            ("epoch milliseconds as text", "c1", lambda: str(1_767_225_600_000 + m.chance.randrange(10**10))),
            ("uuid", "request_id", lambda: str(uuid.UUID(int=m.chance.getrandbits(128), version=4))),
            ("md5", "c2", lambda: hashlib.md5(m.digits(9).encode(), usedforsecurity=False).hexdigest()),
            ("order ids", "order_id", lambda: m.digits(16)),
            ("short ids", "id", lambda: m.chance.randrange(10**6)),
            ("nine digits", "c3", lambda: m.digits(9)),
            ("ten digits", "c4", lambda: m.digits(10)),
            ("eleven digits", "c5", lambda: m.digits(11)),
            (
                "versions",
                "app_version",
                lambda: (
                    f"{m.chance.randrange(9)}.{m.chance.randrange(30)}.{m.chance.randrange(9)}.{m.chance.randrange(20)}"
                ),
            ),
            ("trace ids", "trace_id", lambda: f"{m.chance.getrandbits(128):032x}"),
            ("amounts", "amount", lambda: Decimal(m.chance.randrange(10**7)) / 100),
            ("amounts with spaces", "c6", lambda: f"{m.chance.randrange(1, 999)} {m.digits(3)},{m.digits(2)} Kč"),
            ("coordinates", "lat", lambda: round(m.chance.uniform(-90, 90), 6)),
            ("products", "product_name", lambda: m.pick(pools.PRODUCTS)),
            ("cities", "city", lambda: m.pick(pools.CITIES)),
            ("categories", "category", lambda: m.pick(("grocery", "travel agency", "fuel", "fast food"))),
            ("countries", "country", lambda: m.pick(("CZ", "DE", "US", "GB"))),
            ("tokens", "email", lambda: keys.token("email", m.digits(6))),
            (
                "timestamps",
                "created_at",
                lambda: f"2026-01-{m.chance.randrange(1, 29):02}T10:{m.chance.randrange(60):02}:00Z",
            ),
            ("phone models", "phone_model", lambda: m.pick(pools.PHONES)),
            ("card types", "card_type", lambda: m.pick(("debit", "credit", "prepaid"))),
            ("flags", "email_opt_in", lambda: m.pick((True, False, None))),
            ("ratings", "ip_rating", lambda: m.pick(("IP67", "IP68"))),
            ("iban look-alikes", "c7", lambda: f"DE{m.digits(20)}"),
            ("merchants", "merchant", lambda: m.pick(pools.FIRMS)),
            ("transaction days", "booked_on", lambda: m.day(2019, 2026)),
        ],
    )
