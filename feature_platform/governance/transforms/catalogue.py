"""The catalogue: every governed transform there is, and how a call of one is rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.governance.canonical import CANONICAL, TOKENISABLE, canonical_expression
from feature_platform.governance.tokens import expression as token_expression
from feature_platform.governance.transforms import cards, contact, dates, national_ids, places
from feature_platform.governance.transforms.doris import in_doris, token_in_doris
from feature_platform.governance.transforms.transform import Argument, Transform
from feature_platform.types import BOOLEAN, INT, STRING, Engine, Kind

PREFIX: Final = "fp_"
"""A governed call in a tree is ``exp.Anonymous("fp_<transform>", …)`` until it is rendered for an engine."""

REDACTED: Final = "REDACTED"

_ALL: Final = frozenset(CANONICAL)
_NUMBER_LIKE: Final[frozenset[Kind]] = frozenset({"string", "int", "bigint", "decimal"})
_TEXT: Final[frozenset[Kind]] = frozenset({"string"})
_DAYS: Final[frozenset[Kind]] = frozenset({"date", "timestamp", "string"})
_ANY: Final[frozenset[Kind]] = TOKENISABLE | {"boolean", "double", "timestamp"}
_AT: Final = Argument("at", frozenset({"date", "timestamp"}))


def _redact(_engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    return sql.when(args[0].copy().is_(exp.null()), exp.null(), sql.text(REDACTED))


def _redact_python(value: Any) -> str | None:
    return None if value is None else REDACTED


def _token_needs_class(_engine: Engine, _args: Sequence[exp.Expression]) -> exp.Expression:
    raise ValueError("a token needs its classification: render fp_token(classification, column)")


_SINGLE: Final = (
    Transform(
        "token", 1, _ALL, TOKENISABLE | {"timestamp"}, STRING, "token",
        "A keyed token: equal for equal persons, worth nothing without the key.",
        _token_needs_class, None,
    ),
    Transform(
        "redact", 1, _ALL, _ANY, STRING, "derived",
        f"`{REDACTED}`, or NULL where there is no value.",
        _redact, _redact_python, example=("redact('Jan Novák')", REDACTED),
    ),
    Transform(
        "last4", 1, frozenset({"payment_card", "iban", "phone"}), _NUMBER_LIKE, STRING, "partial",
        "The last four characters of a number of 8 to 34; NULL for anything else.",
        cards.last4, cards.last4_python, example=("last4('4111 1111 1111 1111')", "1111"),
    ),
    Transform(
        "bin6", 1, frozenset({"payment_card"}), _NUMBER_LIKE, STRING, "partial",
        "The first six of 12 to 19 digits: the issuer's range; NULL for anything else.",
        cards.bin6, cards.bin6_python, example=("bin6('4111 1111 1111 1111')", "411111"),
    ),
    Transform(
        "luhn_valid", 1, frozenset({"payment_card"}), _NUMBER_LIKE, BOOLEAN, "derived",
        "Whether these are 12 to 19 digits with a right check digit; false for anything else.",
        cards.luhn_valid, cards.luhn_valid_python, example=("luhn_valid('4111 1111 1111 1111')", "true"),
    ),
    Transform(
        "email_domain", 1, frozenset({"email"}), _TEXT, STRING, "partial",
        "The domain if it is a large provider's, else `other`, since a rare domain names people; NULL if this "
        "is no address. The list, and how it is renewed: `mail_domains.txt` beside the catalogue.",
        contact.email_domain, contact.email_domain_python, example=("email_domain('jan@Gmail.com')", "gmail.com"),
    ),
    Transform(
        "phone_country", 1, frozenset({"phone"}), _TEXT, STRING, "partial",
        "The calling code of a number in international form; NULL for national numbers.",
        contact.phone_country, contact.phone_country_python,
        example=("phone_country('00420 601 234 567')", "+420"),
    ),
    Transform(
        "birth_year", 1, frozenset({"birth_date"}), _DAYS, INT, "partial",
        "The year of birth; NULL if the date does not exist.",
        dates.birth_year, dates.birth_year_python, example=("birth_year('1984-02-29')", "1984"),
    ),
    Transform(
        "age_years", 1, frozenset({"birth_date"}), _DAYS, INT, "partial",
        "Whole years of age at a moment; NULL before birth and beyond 130.",
        dates.age_years, dates.age_years_python, (_AT,),
        example=("age_years('1984-02-29', DATE '2026-02-28')", "41"),
    ),
    Transform(
        "age_band", 1, frozenset({"birth_date"}), _DAYS, STRING, "partial",
        f"The age at a moment as one of {', '.join(dates.BANDS)}.",
        dates.age_band, dates.age_band_python, (_AT,),
        example=("age_band('1984-02-29', DATE '2026-02-28')", "35-44"),
    ),
    Transform(
        "ip_prefix", 1, frozenset({"ip_address"}), _TEXT, STRING, "partial",
        "The /24 of an IPv4 address, the /48 of an IPv6 address; NULL if this is neither.",
        places.ip_prefix, places.ip_prefix_python, resembles=frozenset({"ip_address"}),
        example=("ip_prefix('192.0.2.77')", "192.0.2.0/24"),
    ),
    Transform(
        "postcode_prefix", 1, frozenset({"postcode"}), _NUMBER_LIKE, STRING, "partial",
        "The first three characters of a postal code, the first two if it has only four; NULL for shorter ones.",
        places.postcode_prefix, places.postcode_prefix_python, resembles=frozenset({"postcode"}),
        example=("postcode_prefix('110 00')", "110"),
    ),
    Transform(
        "iban_country", 1, frozenset({"iban"}), _TEXT, STRING, "partial",
        "The country code of a text that has the shape of an IBAN, else NULL.",
        places.iban_country, places.iban_country_python,
        example=("iban_country('CZ65 0800 0000 1920 0014 5399')", "CZ"),
    ),
)  # fmt: skip
"""Those that are no family."""


def _of_scheme(scheme: national_ids.Scheme) -> list[Transform]:
    accepts = frozenset({scheme.name})

    def example(fact: str, more: str, result: Any) -> tuple[str, str]:
        return f"{scheme.name}_{fact}('{scheme.example}'{more})", str(result)

    day = date(1998, 12, 31)
    return [
        Transform(
            f"{scheme.name}_birth_year", 1, accepts, _NUMBER_LIKE, INT, "partial",
            "The year of birth that the identifier carries; NULL if it is malformed.",
            scheme.birth_year, scheme.birth_year_python,
            example=example("birth_year", "", scheme.birth_year_python(scheme.example)),
        ),
        Transform(
            f"{scheme.name}_sex", 1, accepts, _NUMBER_LIKE, STRING, "partial",
            "`F` or `M` as the identifier has it; NULL if it is malformed.",
            scheme.sex_of, scheme.sex_of_python,
            example=example("sex", "", scheme.sex_of_python(scheme.example)),
        ),
        Transform(
            f"{scheme.name}_age_years", 1, accepts, _NUMBER_LIKE, INT, "partial",
            "Whole years of age at a moment; NULL if the identifier is malformed, before birth and beyond 130.",
            scheme.age_years, scheme.age_years_python, (_AT,),
            example=example("age_years", f", DATE '{day}'", scheme.age_years_python(scheme.example, day)),
        ),
    ]  # fmt: skip


_OF_SCHEMES: Final = (transform for scheme in national_ids.SCHEMES for transform in _of_scheme(scheme))
_KNOWN: Final = {transform.name: transform for transform in (*_SINGLE, *_OF_SCHEMES)}

TRANSFORMS: Final[Mapping[str, Transform]] = MappingProxyType(_KNOWN)
"""Every governed transform by name: the platform's own, and those of teams that a policy approves."""

BUILT_IN: Final = frozenset(_KNOWN)
"""The names of the platform's own."""


def add(transform: Transform) -> None:
    """Makes a transform known that :mod:`~feature_platform.governance.transforms.extensions` has checked."""
    assert transform.name not in BUILT_IN, "the platform's own are never replaced"
    _KNOWN[transform.name] = transform


def remove(name: str) -> None:
    """Forgets a transform that was added."""
    assert name not in BUILT_IN, "the platform's own are never removed"
    _KNOWN.pop(name, None)


def render_governed(name: str, args: Sequence[exp.Expression], engine: Engine) -> exp.Expression:
    """What a call of ``fp_<transform>`` in a tree becomes in ``engine``'s SQL. ``fp_token`` has its classification as
    first argument.

    Raises:
        KeyError: no such transform.
        ValueError: the arguments do not fit.
    """
    transform = TRANSFORMS[name.lower().removeprefix(PREFIX)]
    if transform.name != "token":
        return transform.expression(engine, args)
    if len(args) != 2 or not isinstance(args[0], exp.Literal) or not args[0].is_string:
        raise ValueError("fp_token takes a classification and a column")
    classification = args[0].name
    if engine == "doris":
        text = in_doris(lambda inside: canonical_expression(classification, inside[0], "duckdb"), args[1:])
        return token_in_doris(classification, text)
    return token_expression(classification, args[1], engine)
