"""Searching bytes for canaries: every form, across borders, and nothing by chance."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.canaries.files import Files, Unsearched
from feature_platform.canaries.listing import Canary
from feature_platform.canaries.needles import Needles
from feature_platform.canaries.tables import Tables

CARD = Canary("cards", "card_number", "payment_card", "4242 4200 0917 4418")
MAIL = Canary("customers", "email", "email", "Zoë.quillfeather@example.org")
BORN = Canary("customers", "birth_date", "birth_date", "1921-03-17")
NEEDLES = Needles.of([CARD, MAIL, BORN])
DIGITS = "4242420009174418"

FORMS = {
    "as written": b"4242 4200 0917 4418",
    "digits": DIGITS.encode(),
    "in capitals": b"ZO\xc3\xab.QUILLFEATHER@EXAMPLE.ORG",
    "URL-encoded": quote(MAIL.value).encode(),
    "base64": base64.b64encode(b"x" + DIGITS.encode() + b"yz"),
    "base64 in a longer text": base64.b64encode(b"mail: " + MAIL.value.encode() + b", and so on"),
    "hexadecimal": DIGITS.encode().hex().encode(),
    "hexadecimal in capitals": MAIL.value.encode().hex().upper().encode(),
    "JSON": json.dumps({"mail": MAIL.value}).encode(),
    "UTF-16": MAIL.value.encode("utf-16-le"),
    "a hash without a key": sha256(DIGITS.encode()).hexdigest().encode(),
    "a binary number": struct.pack("<q", int(DIGITS)),
    "a binary number, big-endian": struct.pack(">q", int(DIGITS)),
    "a date elsewhere": b"17.03.1921",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_found(form: str) -> None:
    assert NEEDLES.find(b"before " + FORMS[form] + b" after")
    assert NEEDLES.find(FORMS[form])


@pytest.mark.parametrize("size", [1, 5, 1_000])
def test_a_value_is_found_across_the_borders_of_chunks(size: int) -> None:
    stream = b"a" * 4_990 + DIGITS.encode() + b"b" * 100
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert {hit.canary for hit in NEEDLES.find_all(iter(chunks))} == {CARD}


@pytest.mark.parametrize("before", [(1 << 20) - 3, (4 << 20) - 3, (4 << 20) + 5])
def test_a_value_is_found_across_the_borders_of_what_is_searched_at_once(before: int) -> None:
    stream = b"a" * before + DIGITS.encode() + b"b" * 100
    assert {hit.canary for hit in NEEDLES.find(stream)} == {CARD}
    pieces = (stream[start : start + 65_536] for start in range(0, len(stream), 65_536))
    assert {hit.canary for hit in NEEDLES.find_all(pieces)} == {CARD}


@given(st.binary(max_size=300), st.sampled_from(sorted(FORMS)), st.binary(max_size=300))
def test_whatever_stands_around_it(before: bytes, form: str, after: bytes) -> None:
    assert NEEDLES.find(before + FORMS[form] + after)


def test_nothing_is_found_by_chance() -> None:
    generator = np.random.default_rng(7)
    assert NEEDLES.find(generator.bytes(16 << 20)) == set()
    digits = generator.integers(48, 58, 16 << 20, dtype=np.uint8).tobytes()
    assert NEEDLES.find(digits) == set()
    assert NEEDLES.find(b"tok_payment_card_v1_0123456789abcdef 4242420009174417 zo.quillfeather@example.org") == set()


def test_no_text_of_a_canary_or_a_hit_holds_its_value() -> None:
    (hit,) = NEEDLES.find(FORMS["as written"])
    for text in (repr(CARD), repr(hit), str(hit), repr([MAIL])):
        assert "4242" not in text
        assert "quill" not in text.lower()


def test_rows_are_searched_by_value_whatever_their_type() -> None:
    number = int(DIGITS)
    batch = pa.record_batch(
        {
            "text": [None, f"paid by {DIGITS}"],
            "number": pa.array([1, number], pa.int64()),
            "real": pa.array([1.0, float(number)]),
            "decimal": pa.array([1, number], pa.decimal128(18, 0)),
            "day": pa.array([0, -17_822], pa.int32()).cast(pa.date32()),
            "moment": pa.array([0, -17_822 * 86_400 * 10**6 + 5], pa.timestamp("us")),
            "listed": [[], ["x", DIGITS]],
            "structured": [{"a": "x"}, {"a": DIGITS}],
            "coded": pa.array(["x", DIGITS]).dictionary_encode(),
            "bytes": pa.array([b"", FORMS["base64"]]),
            "clean": ["tok_payment_card_v1_0123", "other"],
            "other_number": pa.array([1, number + 1], pa.int64()),
        }
    )
    found = {column for column, _ in Tables(NEEDLES).batch(batch)}
    assert found == set(batch.schema.names) - {"clean", "other_number"}


def parts(file: Path) -> set[str]:
    found = list(Files(NEEDLES).search(file, file.name))
    return {str(each[0]) for each in found if not isinstance(each, Unsearched)}


def test_parquet_is_searched_in_rows_and_in_what_is_not_compressed(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    filler = [f"{number:09d}" for number in range(5_000)]
    pq.write_table(
        pa.table({"a": [*filler, DIGITS], "day": pa.array([*[0] * 5_000, -17_822], pa.int32()).cast(pa.date32())}),
        file,
        compression="zstd",
        write_statistics=False,
    )
    assert parts(file) == {"rows.parquet, column a", "rows.parquet, column day"}
    pq.write_table(pa.table({"a": ["0", DIGITS]}), file, compression="zstd")
    assert "rows.parquet" in parts(file), "statistics hold the greatest value as it is"


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "run.log.gz"
    file.write_bytes(gzip.compress(b"x" * 5_000 + DIGITS.encode()))
    assert parts(file) == {"run.log.gz, unpacked"}


def test_the_name_of_a_file_is_searched_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / f"card={DIGITS}.txt"
    file.write_bytes(b"")
    (found,) = Files(NEEDLES).search(file, f"features/{file.name}")
    assert not isinstance(found, Unsearched)
    assert str(found[0]) == "features, the name of a file"


def test_a_file_that_can_not_be_unpacked_is_said_to_be_unsearched(tmp_path: Path) -> None:
    file = tmp_path / "broken.gz"
    file.write_bytes(gzip.compress(b"x" * 5_000)[:20])
    assert [each for each in Files(NEEDLES).search(file, "broken.gz") if isinstance(each, Unsearched)]
