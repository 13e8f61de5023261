"""The set that is measured: other countries, formats, encodings and words."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator

from tests.governance import detection_pools as pools
from tests.governance.detection_corpus import Labelled, Maker, encoded, fours, full_width, negatives, positives

SEED = 7_919


def columns(m: Maker) -> Iterator[Labelled]:
    """Every column of the set."""
    inside = ("corp.local", "mail.internal", "acme.lan")
    abroad = ("posta.it", "wanadoo.fr", "uni-bonn.de", "bank.com.br", "mail.example.museum")
    yield from positives(
        m,
        "email",
        [
            ("internal domains", "x7", lambda: m.mail(inside)),
            (
                "url-safe base64 without padding",
                "cursor",
                lambda: base64.urlsafe_b64encode(f"u:{m.mail(abroad)}".encode()).decode().rstrip("="),
            ),
            ("hex", "raw", lambda: m.mail(abroad).encode().hex()),
            ("html entity", "html", lambda: m.mail(abroad).replace("@", "&#64;")),
            ("nested", "event", lambda: {"user": {"contacts": [{"kind": "mail", "v": m.mail(abroad)}]}}),
            ("link", "href", lambda: f"mailto:{m.mail(abroad)}?subject=hello"),
            ("zero width", "t", lambda: "\u200b".join(m.mail(abroad).partition("@"))),
            ("bytes", "b", lambda: m.mail(abroad).encode()),
            ("full width at", "f", lambda: m.mail(abroad).replace("@", "\uff20")),
            ("escaped json", "j", lambda: json.dumps(json.dumps({"m": m.mail(abroad)})).replace("@", "\\u0040")),
            ("twice percent", "url", lambda: f"https://shop.example/u?e={m.mail(abroad).replace('@', '%2540')}"),
        ],
    )
    yield Labelled("email sparse in hex", "z", m.sparse(lambda: m.mail(abroad).encode().hex()), "email")
    yield from positives(
        m,
        "payment_card",
        [
            ("dashes", "a", lambda: fours(m.card("6011"), "-")),
            ("unionpay", "b", lambda: m.card("62", 19)),
            ("digit by digit", "c", lambda: " ".join(m.card())),
            ("full width", "d", lambda: full_width(m.card("55"))),
            ("json", "e", lambda: json.dumps({"card": {"n": m.card("35" + "28")}, "ok": True})),
            ("diners", "f", lambda: m.card("36", 14)),
            ("list", "g", lambda: [m.card(), "x"]),
            ("in a sentence", "h", lambda: f"paid by card {fours(m.card('2221'), ' ')} today"),
        ],
    )
    yield Labelled("card sparse, grouped", "k", m.sparse(lambda: fours(m.card("4"), " ")), "payment_card")
    yield from positives(
        m,
        "iban",
        [
            ("lower case", "a", lambda: m.iban("FR", "30006000").lower()),
            ("pl in a sentence", "b", lambda: f"przelew na {fours(m.iban('PL'), ' ')}"),
            ("nl json", "c", lambda: json.dumps({"to": m.iban("NL", "ABNA")})),
            ("it dashes", "d", lambda: fours(m.iban("IT", "X"), "-")),
            ("es, named", "cuenta_bancaria", lambda: m.iban("ES")),
        ],
    )
    yield from positives(
        m,
        "phone",
        [
            ("uk dots", "a", lambda: f"+44.20.7{m.digits(3)}.{m.digits(4)}"),
            ("fr", "b", lambda: f"0{m.pick('1267')}" + "".join(f" {m.digits(2)}" for _ in range(4))),
            ("uk mobile", "c", lambda: f"07{m.digits(3)} {m.digits(6)}"),
            ("es", "d", lambda: f"6{m.digits(2)} {m.digits(3)} {m.digits(3)}"),
            ("it", "e", lambda: f"3{m.pick('2345')}{m.digits(1)} {m.digits(7)}"),
            ("nl", "f", lambda: f"06-{m.digits(8)}"),
            ("00 prefix, grouped", "g", lambda: f"00420 7{m.digits(2)} {m.digits(3)} {m.digits(3)}"),
            ("floats, named", "telefono_movil", lambda: float(f"6{m.digits(8)}")),
            ("us dots", "h", lambda: f"4{m.pick('01')}5.{m.pick('2345')}{m.digits(2)}.{m.digits(4)}"),
            ("pl, named", "nr_telefonu", lambda: m.digits(9)),
        ],
    )
    yield Labelled(
        "phone sparse", "l", m.sparse(lambda: f"+33 6 {m.digits(2)} {m.digits(2)} {m.digits(2)} {m.digits(2)}"), "phone"
    )
    yield from positives(
        m,
        "ip_address",
        [
            (
                "with port",
                "a",
                lambda: f"{m.ip((62, 145, 188))}:443",
            ),
            ("v6 long", "b", lambda: ":".join(f"{m.chance.randrange(4096, 65536):x}" for _ in range(8))),
            (
                "forwarded",
                "x_forwarded_for",
                lambda: f"{m.pick((62, 145))}.{m.digits(1)}.{m.digits(2).lstrip('0') or 1}.7, 10.0.0.1",
            ),
            (
                "log line",
                "c",
                lambda: f"login from {m.ip((62, 145, 188), last=100)} ok",
            ),
        ],
    )
    yield from positives(
        m,
        "device_id",
        [
            ("mac dashes", "a", lambda: "-".join(f"{m.chance.getrandbits(8):02x}" for _ in range(6))),
            ("imei other", "b", lambda: m.card("86", 15)),
            ("idfa", "idfa", lambda: str(uuid.UUID(int=m.chance.getrandbits(128), version=4)).upper()),
        ],
    )
    yield from positives(
        m,
        "birth_date",
        [
            ("german", "Geburtsdatum", lambda: f"{m.day(1940, 2005):%d.%m.%Y}"),
            ("compact", "fecha_nac", lambda: int(f"{m.day(1940, 2005):%Y%m%d}")),
            ("american", "customerBirthDate", lambda: f"{m.day(1950, 2005):%m/%d/%Y}"),
            ("french", "date_de_naissance", lambda: m.day(1950, 2005).isoformat() + "T00:00:00"),
        ],
    )
    for scheme, form in pools.IDENTIFIERS:
        yield Labelled(scheme, "n", m.many(lambda scheme=scheme, form=form: m.identifier(scheme, form)), "national_id")
    yield Labelled(
        "pesel sparse", "w", m.sparse(lambda: m.identifier("PL PESEL", "yymmdd99999"), rows=500), "national_id"
    )
    yield from positives(
        m,
        "birth_number",
        [
            ("digits", "a", lambda: m.identifier("CZ, SK birth number digits", "yymmdd9999")),
            ("in a sentence", "b", lambda: f"klient r.c. {m.identifier('CZ, SK birth number', 'yymmdd/9999')}"),
        ],
    )
    yield from positives(
        m, "person_name", [(c, "p", lambda c=c: m.person(c)) for c in ("es", "it", "pl", "fr", "nl", "sk")]
    )
    yield from positives(
        m,
        "person_name",
        [
            ("capitals", "q", lambda: m.person("fr", "{f} {g}").upper()),
            ("named, nordic", "efternamn", lambda: m.person("se", "{f}")),
            ("titles", "r", lambda: m.person("cz2", "Ing. {g} {f}")),
            ("nested", "s", lambda: {"g": m.person("pl", "{g}"), "f": m.person("pl", "{f}")}),
            ("middle initial", "u", lambda: m.person("us", "{g} J. {f}")),
            ("given names, spanish", "v", lambda: m.person("es", "{g}")),
        ],
    )
    yield from positives(
        m, "address", [(c, "o", lambda c=c: m.address(c)) for c in ("fr", "es", "it", "pl", "nl", "us", "pt")]
    )
    yield from positives(
        m,
        "postcode",
        [
            ("nl", "a", lambda: f"{m.chance.randrange(1000, 9999)} {m.letters(2, 'ABCDEGHJKL')}"),
            ("ca", "b", lambda: f"K{m.digits(1)}A {m.digits(1)}B{m.digits(1)}"),
            ("cz, named", "psc", lambda: f"{m.digits(3)} {m.digits(2)}"),
            ("de, named", "PLZ", lambda: m.chance.randrange(10_000, 99_999)),
            ("pl, named", "kod_pocztowy", lambda: f"{m.digits(2)}-{m.digits(3)}"),
        ],
    )
    yield from positives(
        m, "free_text", [(lang, "y", lambda lang=lang: m.note(lang)) for lang in ("cz", "es", "fr", "pl")]
    )
    yield from negatives(
        m,
        [
            ("epoch seconds", "a", lambda: 1_700_000_000 + m.chance.randrange(10**8)),
            ("epoch microseconds", "b", lambda: str(1_767_225_600_000_000 + m.chance.randrange(10**13))),
            ("sha256 capitals", "c", lambda: hashlib.sha256(m.digits(9).encode()).hexdigest().upper()),
            ("sha1", "d", lambda: hashlib.sha1(m.digits(9).encode(), usedforsecurity=False).hexdigest()),
            ("ulids", "e", lambda: "01H" + m.letters(23, "0123456789ABCDEFGHJKMNPQRSTVWXYZ")),
            ("invoices", "invoice_no", lambda: f"INV-2026-{m.digits(6)}"),
            ("rates", "f", lambda: f"{m.chance.uniform(0.5, 30):.6f}"),
            ("batches", "batch", lambda: f"B{m.digits(8)}"),
            ("batches of digits", "g", lambda: m.digits(8)),
            ("span ids", "h", lambda: f"{m.chance.getrandbits(64):016x}"),
            ("trace parents", "i", lambda: f"00-{m.chance.getrandbits(128):032x}-{m.chance.getrandbits(64):016x}-01"),
            (
                "urls",
                "url",
                lambda: f"https://cdn{m.digits(1)}.example.com/p/{m.digits(6)}?utm_source=x&id={m.digits(4)}",
            ),
            ("paths", "j", lambda: f"/srv/data/2026/{m.digits(2)}/part-{m.digits(5)}.parquet"),
            ("user agents", "user_agent", lambda: pools.AGENT.format(m.chance.randrange(100, 140))),
            ("random base64", "k", lambda: base64.b64encode(m.chance.randbytes(24)).decode()),
            ("url-safe random", "l", lambda: base64.urlsafe_b64encode(m.chance.randbytes(16)).decode().rstrip("=")),
            (
                "json of ids",
                "payload",
                lambda: json.dumps({"id": m.digits(8), "amount": m.chance.randrange(10**5), "cur": "EUR"}),
            ),
            ("base64 json of a cursor", "cursor", lambda: encoded(json.dumps({"after": m.digits(7), "size": 50}))),
            (
                "firms",
                "m",
                lambda: f"{m.letters(1)}{m.letters(5, 'aeiourst')} {m.pick(pools.FORMS_OF_FIRMS)}",
            ),
            ("pairs", "n", lambda: m.pick(("EUR/USD", "CZK/EUR", "GBP/USD"))),
            ("ean", "ean", lambda: ean(m.digits(12))),
            ("skus", "o", lambda: f"{m.letters(3)}-{m.digits(4)}-{m.letters(2)}"),
            ("licence keys", "p", lambda: "-".join(m.letters(5, "ABCDEFGHJKMNPQRSTUVWXYZ23456789") for _ in range(4))),
            ("semver", "q", lambda: f"v{m.digits(1)}.{m.digits(2)}.{m.digits(1)}-rc.{m.digits(1)}+build.{m.digits(4)}"),
            ("browser versions", "r", lambda: f"{m.chance.randrange(100, 140)}.0.0.0"),
            ("windows builds", "s", lambda: f"10.0.{m.chance.randrange(19000, 22700)}.{m.digits(3)}"),
            ("colours", "t", lambda: f"#{m.chance.getrandbits(24):06x}"),
            ("fingerprints", "u", lambda: ":".join(f"{m.chance.getrandbits(8):02X}" for _ in range(20))),
            ("isin", "v", lambda: f"US{m.digits(9)}{m.digits(1)}"),
            ("bic", "w", lambda: f"{m.letters(4)}{m.pick(('DE', 'FR', 'CZ'))}{m.letters(2)}XXX"),
            ("lei", "x", lambda: m.letters(18, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") + m.digits(2)),
            ("prices with signs", "y", lambda: f"+{m.chance.randrange(1, 99)}.{m.digits(2)} %"),
            ("part numbers", "z", lambda: f"{m.digits(3)}-{m.digits(2)}-{m.digits(5)}"),
            ("tracking", "aa", lambda: f"1Z{m.letters(6, 'ABCDEFGHJKLMN0123456789')}{m.digits(10)}"),
            ("cron", "bb", lambda: f"{m.chance.randrange(60)} {m.chance.randrange(24)} * * *"),
            ("git", "cc", lambda: f"{m.chance.getrandbits(28):07x}"),
            ("images", "dd", lambda: f"registry.example.com/app/web@sha256:{m.chance.getrandbits(256):064x}"),
            (
                "packages",
                "ee",
                lambda: f"{m.pick(('react', 'lodash', '@types/node'))}@{m.digits(1)}.{m.digits(2)}.{m.digits(1)}",
            ),
            ("status", "ff", lambda: m.pick((200, 301, 404, 500))),
            ("percent", "gg", lambda: f"{m.chance.uniform(0, 100):.1f} %"),
            ("descriptions of codes", "mcc_description", lambda: m.pick(pools.MCC_WORDS)),
            (
                "logs",
                "hh",
                lambda: f"{m.pick(('INFO', 'WARN'))} worker-{m.digits(2)} took {m.digits(3)}ms rows={m.digits(5)}",
            ),
            ("opening days", "opened_on", lambda: m.day(1996, 2026).isoformat()),
            ("brands", "ii", lambda: m.pick(pools.BRANDS)),
            ("devices", "device_model", lambda: m.pick(pools.DEVICES)),
            (
                "nine digits grouped",
                "jj",
                lambda: f"{m.chance.randrange(100, 999):,}".replace(",", " ") + f" {m.chance.randrange(1000):03} 000",
            ),
            ("verified", "address_verified", lambda: m.pick(("Y", "N"))),
            ("domains", "email_domain", lambda: m.pick(abroad)),
            ("last four", "card_last4", lambda: m.digits(4)),
            ("name of product", "name_of_product", lambda: m.pick(pools.DEVICES)),
            ("birth rate", "birth_rate", lambda: round(m.chance.uniform(5, 20), 1)),
            ("coordinates pairs", "kk", lambda: f"{m.chance.uniform(48, 51):.5f}, {m.chance.uniform(12, 18):.5f}"),
            ("twelve digits", "ll", lambda: m.digits(12)),
            ("thirteen digits", "mm", lambda: m.digits(13)),
            ("stations", "nn", lambda: m.pick(pools.STATIONS)),
            ("nulls", "oo", lambda: None),
            ("bytes", "pp", lambda: m.chance.randbytes(16)),
            ("ids of nodes", "qq", lambda: f"node-{m.digits(3)}.eu-west-1.compute"),
            ("hex ids of digits", "rr", lambda: m.digits(24)),
            ("durations", "ss", lambda: f"PT{m.chance.randrange(60)}M{m.chance.randrange(60)}S"),
            ("thermometers", "tt", lambda: round(m.chance.uniform(-20, 40), 1)),
            ("booleans", "phone_verified", lambda: m.pick((True, False))),
            ("vat", "vat_id", lambda: f"ATU{m.digits(8)}"),
            ("weeks", "uu", lambda: f"2026-W{m.chance.randrange(1, 53):02}"),
            ("regex words", "vv", lambda: m.pick(("std::vec", "abc::de", "a::b::c"))),
            ("tickets", "ww", lambda: f"PAY-{m.digits(4)}"),
        ],
    )


def ean(body: str) -> str:
    total = sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(body))
    return f"{body}{-total % 10}"
