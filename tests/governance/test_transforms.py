"""Every governed transform: known answers, and the same answer from both engines and Python for whatever comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from sqlglot import exp, parse_one

from feature_platform.governance.labels import describe
from feature_platform.governance.transforms import TRANSFORMS, render_governed
from feature_platform.governance.transforms.cards import luhn
from feature_platform.governance.transforms.contact import CALLING_CODES
from tests.governance.conftest import Engines

on_engines = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
"""Each example is a batch of values, so that a few round trips test hundreds."""

anything = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
digits = st.text("0123456789", max_size=21)
separated = st.text("0123456789 -./()+\u00a0\t\n٣४\uff14\uff11", max_size=24)
cards = st.builds(lambda prefix, rest: prefix + rest, st.sampled_from(["4", "5", "37", "6011"]), digits)
emails = st.from_regex(r"\A[ \t]{0,2}[A-Za-zŽ.]{1,8}@[A-Za-z]{1,9}\.?(com|COM|cz|co\.uk)?[ \n]{0,2}\Z") | st.builds(
    "{}@{}".format,
    st.text("abcÄ@. ", max_size=5),
    st.sampled_from(["gmail.com", "Seznam.CZ", "example.org", "gmail", ""]),
)
phones = st.builds("{}{}".format, st.sampled_from(["+", "00", "", " +", "+(0)"]), separated)
days = st.dates(min_value=date(1, 1, 1), max_value=date(9999, 12, 31))
near_days = st.dates(min_value=date(1890, 1, 1), max_value=date(2030, 12, 31)) | st.sampled_from(
    [date(1984, 2, 29), date(2000, 2, 29), date(1900, 2, 28), date(1900, 3, 1)]
)
day_texts = days.map(str) | st.from_regex(r"\A\s?[0-9]{4}-[0-9]{2}-[0-9]{2}( 10:00:00)?\s?\Z") | st.builds(
    "{:04}-{:02}-{:02}".format, st.integers(0, 2100), st.integers(0, 13), st.integers(27, 32)
)  # fmt: skip
hextets = st.lists(st.sampled_from(["0", "0000", "00a", "DB8", "2001", "ffff", "", "12345", "g"]), max_size=9)
addresses = (
    st.ip_addresses().map(str)
    | st.ip_addresses(v=6).map(lambda address: address.exploded)
    | hextets.map(":".join)
    | st.builds("{}::{}".format, hextets.map(":".join), hextets.map(":".join))
    | st.ip_addresses(v=4).map("::ffff:{}".format)
    | st.lists(st.integers(0, 300).map(str) | st.just("01"), min_size=3, max_size=5).map(".".join)
)
postcodes = st.text("0123456789ABab -é", max_size=12)
ibans = st.from_regex(r"\A[A-Za-z]{2}[0-9]{2} ?[0-9A-Za-z -]{9,36}\Z")
birth_numbers = st.builds(
    "{:02}{:02}{:02}{}{}".format,
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 32),
    st.sampled_from(["", "/", " "]),
    st.sampled_from(["", "000", "123", "1234", "7"]) | st.text("0123456789", min_size=3, max_size=4),
)

VALUES: dict[str, st.SearchStrategy[str]] = {
    "redact": anything,
    "last4": cards | ibans | phones | separated,
    "bin6": cards | separated,
    "luhn_valid": cards | separated | digits,
    "email_domain": emails,
    "phone_country": phones,
    "birth_year": day_texts,
    "age_years": day_texts,
    "age_band": day_texts,
    "ip_prefix": addresses,
    "postcode_prefix": postcodes,
    "iban_country": ibans,
    "birth_number_birth_year": birth_numbers,
    "birth_number_sex": birth_numbers,
    "birth_number_age_years": birth_numbers,
}


def agree(engines: Engines, name: str, rows: Sequence[tuple[Any, ...]], types: Sequence[str]) -> None:
    """Both engines give what the Python reference gives, row by row."""
    expected = [TRANSFORMS[name].python(*row) for row in rows]
    for engine, results in engines.evaluate(name, rows, types).items():
        different = [(row, got, want) for row, got, want in zip(rows, results, expected, strict=True) if got != want]
        assert not different, f"{name} on {engine}: (arguments, got, expected) {different[:3]}"


def test_every_transform_but_the_keyed_one_is_compared_below() -> None:
    assert set(VALUES) == set(TRANSFORMS) - {"token"}


@pytest.mark.parametrize("name", sorted(VALUES))
def test_engines_and_python_agree_on_any_text(name: str, engines: Engines) -> None:
    values = st.none() | st.just("") | VALUES[name] | anything
    extra = [st.none() | near_days for _ in TRANSFORMS[name].arguments]

    @on_engines
    @given(st.lists(st.tuples(values, *extra), min_size=1, max_size=30))
    def check(rows: list[tuple[Any, ...]]) -> None:
        agree(engines, name, rows, ["string"] + ["date"] * len(extra))

    check()


whole = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 10**10) | st.sampled_from([4111111111111111, 706213, 11000])
moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999))
KINDS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "boolean": ("boolean", st.booleans()),
    "int": ("int", st.integers(-(2**31), 2**31 - 1)),
    "bigint": ("bigint", whole),
    "decimal": ("decimal(20,0)", whole.map(Decimal)),
    "double": ("double", st.floats()),
    "date": ("date", days | near_days),
    "timestamp": ("timestamp", moments | near_days.map(lambda day: datetime(day.year, day.month, day.day, 12))),
}
"""What columns that are no text hold, to the ends of their ranges."""


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in sorted(VALUES) for kind in sorted(TRANSFORMS[name].column_kinds - {"string"})],
)
def test_engines_and_python_agree_on_every_kind_of_column(name: str, kind: str, engines: Engines) -> None:
    declared, values = KINDS[kind]
    at = "timestamp" if kind == "timestamp" else "date"
    extra = [st.none() | (near_days if at == "date" else KINDS[at][1]) for _ in TRANSFORMS[name].arguments]

    @settings(on_engines, max_examples=10)
    @given(st.lists(st.tuples(st.none() | values, *extra), min_size=1, max_size=30))
    def check(rows: list[tuple[Any, ...]]) -> None:
        agree(engines, name, rows, [declared] + [at] * len(extra))

    check()


def test_full_width_digits_and_those_of_other_scripts_are_no_digits() -> None:
    assert TRANSFORMS["bin6"].python("\uff14\uff11\uff11\uff11" * 4) is None
    assert TRANSFORMS["luhn_valid"].python("\u0664\u0661\u0661\u0661" * 4) is False
    assert TRANSFORMS["birth_number_birth_year"].python("\uff17\uff10\uff16\uff12\uff11\uff13") is None


@pytest.mark.parametrize("transform", [t for t in TRANSFORMS.values() if t.example[0]], ids=lambda t: t.name)
@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_the_documented_example_holds(transform: Any, engine: Any, engines: Engines) -> None:
    call, promised = transform.example
    parsed = parse_one(call, dialect="duckdb")
    arguments = parsed.expressions if isinstance(parsed, exp.Anonymous) else list(parsed.iter_expressions())
    typed = [exp.cast(argument, "text") if isinstance(argument, exp.Literal) else argument for argument in arguments]
    sql = exp.select(render_governed(f"fp_{transform.name}", typed, engine)).sql(engine)
    connection: Any = engines.duckdb if engine == "duckdb" else engines.postgres
    ((result,),) = connection.execute(sql).fetchall()  # DuckDB serves one unfinished result at a time
    assert (str(result).lower() if isinstance(result, bool) else str(result)) == promised


@pytest.mark.parametrize(
    ("at", "age"),
    [(date(2023, 2, 28), 22), (date(2023, 3, 1), 23), (date(2024, 2, 28), 23), (date(2024, 2, 29), 24)],
)
def test_a_leap_day_child_turns_older_on_the_first_of_march(at: date, age: int) -> None:
    assert TRANSFORMS["age_years"].python(date(2000, 2, 29), at) == age


@pytest.mark.parametrize(
    ("number", "born", "sex"),
    [
        ("706213", 19701213, "F"),  # the first client of the PKDD'99 data: 13 December 1970, a woman
        ("450204", 19450204, "M"),
        (406009, 19401009, "F"),
        ("535323/123", 19530323, "F"),
        ("991231999", 18991231, "M"),  # nine digits with a year above 53 are of the 19th century
        ("7103192745", 19710319, "M"),
        ("0431010008", 20041101, "M"),  # 20 added to the month
        ("0471010001", 20040101, "F"),  # 70 added
        ("0471010002", None, None),  # no multiple of 11
        ("7801230020", 19780123, "M"),  # the check digit would be 10, so it is 0
        ("840230", None, None),  # 30 February
        ("841301", None, None),  # month 13
        ("842101", None, None),  # 20 added, but six digits
        ("84010", None, None),
    ],
)
def test_birth_numbers_are_read_by_the_rules_of_their_time(number: Any, born: int | None, sex: str | None) -> None:
    year = TRANSFORMS["birth_number_birth_year"].python(number)
    age = TRANSFORMS["birth_number_age_years"].python(number, date(2024, 12, 31))
    assert (year, TRANSFORMS["birth_number_sex"].python(number)) == (born and born // 10_000, sex)
    assert age == (None if born is None else 2024 - born // 10_000)


@given(st.ip_addresses())
def test_an_ip_prefix_is_the_network_that_holds_the_address(address: Any) -> None:
    length = 24 if address.version == 4 else 48
    assert ip_network(TRANSFORMS["ip_prefix"].python(str(address))) == ip_network((address, length), strict=False)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_written_as_ipv6_has_the_prefix_of_the_ipv4_address(address: Any) -> None:
    prefix = TRANSFORMS["ip_prefix"].python
    assert prefix(f"::FFFF:{address}") == prefix(str(address))


@given(st.text("0123456789", min_size=1, max_size=18))
def test_exactly_one_check_digit_satisfies_luhn(number: str) -> None:
    assert sum(luhn(number + check) for check in "0123456789") == 1


def test_calling_codes_are_those_that_are_assigned_and_no_code_starts_another() -> None:
    codes = [code for group in CALLING_CODES for code in group]
    assigned = {str(code) for code in COUNTRY_CODE_TO_REGION_CODE} - {"979"}
    assert assigned <= set(codes)
    assert not [(one, other) for one in codes for other in codes if one != other and other.startswith(one)]


def test_a_rare_domain_is_not_shown() -> None:
    assert TRANSFORMS["email_domain"].python("jan@novakovi.cz") == "other"


@pytest.mark.parametrize(("code", "prefix"), [("1234", "12"), ("11000", "110"), ("SW1A 1AA", "SW1"), ("123", None)])
def test_a_postcode_prefix_leaves_out_two_characters_or_more(code: str, prefix: str | None) -> None:
    assert TRANSFORMS["postcode_prefix"].python(code) == prefix


@pytest.mark.parametrize(
    ("name", "classification", "label"),
    [
        ("token", "email", "token(email, v1)"),
        ("bin6", "payment_card", "partial(payment_card, bin6)"),
        ("luhn_valid", "payment_card", "derived(payment_card)"),
        ("redact", "address", "derived(address)"),
    ],
)
def test_results_carry_the_class_and_what_was_kept_of_it(name: str, classification: str, label: str) -> None:
    assert describe(TRANSFORMS[name].labels(classification)) == label


def test_a_wrong_number_of_arguments_is_refused() -> None:
    with pytest.raises(ValueError, match=r"age_years\(column, at\) got 1"):
        render_governed("fp_age_years", [exp.column("birth_date")], "duckdb")
