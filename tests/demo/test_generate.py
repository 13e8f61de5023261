"""The demonstration data: reproducible, plausible, valid where validity can be checked, and made in little memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_platform.demo.generate import CANARY_FILE, DemoData, generate
from feature_platform.demo.population import Population
from feature_platform.demo.randomness import Draw
from feature_platform.demo.tables import END, START, TABLES, TRANSACTIONS
from feature_platform.demo.transactions import transactions_of_day

SIZE = 60_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DemoData:
    return generate(tmp_path_factory.mktemp("demo"), transactions=SIZE)


@pytest.fixture
def tables(data: DemoData) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with one view per table, over generated rows alone."""
    with duckdb.connect() as connection:
        for table in TABLES:
            generated = [str(file) for file in (data.folder / table.name).iterdir() if file.name != CANARY_FILE]
            connection.read_parquet(generated).create_view(table.name)
        yield connection


def _number(tables: duckdb.DuckDBPyConnection, query: str) -> Any:
    (value,) = tables.execute(query).fetchone() or (None,)
    return value


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest() for file in sorted(folder.rglob("*.*"))
    }


def test_the_same_seed_and_size_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate(tmp_path / name, transactions=2_000, seed=7)
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")


def test_another_seed_gives_other_rows(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate(tmp_path / str(seed), transactions=1_000, seed=seed)
    first, second = (_digests(tmp_path / str(seed)) for seed in (1, 2))
    same = [name for name in first.keys() & second.keys() if first[name] == second[name]]
    assert [name for name in same if "canaries" not in name] == []


@pytest.mark.parametrize("transactions", [1_000, 12_345])
def test_rows_do_not_depend_on_the_chunks_they_are_made_in(transactions: int) -> None:
    population = Population(Draw(5), transactions)
    for day in (0, 37, 89):
        whole = list(transactions_of_day(population, day))
        pieces = list(transactions_of_day(population, day, chunk=7))
        for field in fields(whole[0]):
            joined = np.concatenate([getattr(piece, field.name) for piece in pieces])
            assert np.array_equal(joined, np.concatenate([getattr(piece, field.name) for piece in whole]))


@pytest.mark.parametrize("transactions", [1_000, 1_003, 77_777])
def test_every_transaction_happens_on_exactly_one_day(transactions: int) -> None:
    population = Population(Draw(5), transactions)
    rows = [piece.row for day in range(90) for piece in transactions_of_day(population, day)]
    assert np.array_equal(np.concatenate(rows), np.arange(transactions))


def test_the_size_is_the_number_of_transactions_and_the_rest_grows_with_it(data: DemoData, tables: Any) -> None:
    assert _number(tables, "SELECT count(DISTINCT transaction_id) FROM transactions") == SIZE
    assert {table.name: _number(tables, f"SELECT count(*) FROM {table.name}") for table in TABLES} == data.tables
    assert data.tables["customers"] > SIZE // 25


def test_the_same_data_are_not_made_twice_and_another_size_replaces_them(tmp_path: Path) -> None:
    first = generate(tmp_path, transactions=3_000)
    (tmp_path / "transactions" / "mark.parquet").write_bytes(b"")
    assert generate(tmp_path, transactions=3_000) == first
    assert (tmp_path / "transactions" / "mark.parquet").exists()
    second = generate(tmp_path, transactions=1_000)
    assert not (tmp_path / "transactions" / "mark.parquet").exists()
    assert pq.ParquetDataset(tmp_path / "transactions").read().num_rows == second.tables["transactions"] + 3


def test_data_whose_making_was_interrupted_are_made_again(tmp_path: Path) -> None:
    def interrupt(table: str, _done: int, _expected: int) -> None:
        if table == "transactions":
            raise KeyboardInterrupt

    generate(tmp_path, transactions=2_000)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, transactions=1_000, progress=interrupt)
    assert generate(tmp_path, transactions=2_000).tables["transactions"] >= 2_000
    assert pq.ParquetDataset(tmp_path / "transactions").read(["transaction_id"]).num_rows >= 2_000


def test_too_few_transactions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1000"):
        generate(tmp_path, transactions=999)


def test_progress_ends_at_what_was_expected(tmp_path: Path) -> None:
    last: dict[str, tuple[int, int]] = {}
    generate(
        tmp_path, transactions=1_000, progress=lambda table, done, expected: last.update({table: (done, expected)})
    )
    assert set(last) == {table.name for table in TABLES}
    assert [table for table, (done, expected) in last.items() if done != expected] == []


def test_files_have_the_declared_columns(data: DemoData) -> None:
    for table in TABLES:
        for file in sorted((data.folder / table.name).iterdir()):
            assert pq.read_schema(file).equals(table.schema.arrow()), file.name


def test_transactions_lie_in_one_file_per_day_in_order_of_time(data: DemoData) -> None:
    files = sorted(file for file in (data.folder / "transactions").iterdir() if file.name != CANARY_FILE)
    assert [file.stem for file in files] == [f"{START + timedelta(days=day):%Y-%m-%d}" for day in range(90)]
    for file in files:
        times = pq.read_table(file, columns=["event_time"])["event_time"].combine_chunks().view(pa.int64()).to_numpy()
        assert np.all(np.diff(times) >= 0)
        days = np.unique(times // (86_400 * 10**6)).astype("datetime64[D]")
        assert [str(day) for day in days] == [file.stem]


def test_nothing_happened_or_was_known_outside_the_calendar(tables: Any) -> None:
    for table in TABLES:
        for column in filter(None, (table.event_time, table.available_at)):
            assert _number(tables, f"SELECT max({column}) FROM {table.name}") < END
    assert _number(tables, "SELECT min(event_time) FROM transactions") >= START
    assert _number(tables, "SELECT count(*) FROM transactions WHERE ingested_at < event_time") == 0
    assert _number(tables, "SELECT count(*) FROM disputes WHERE reported_at < opened_at") == 0


def test_one_transaction_in_a_hundred_is_late(tables: Any) -> None:
    late = _number(
        tables,
        "SELECT avg((first > event_time + INTERVAL 1 HOUR)::int) FROM "
        "(SELECT event_time, min(ingested_at) AS first FROM transactions GROUP BY transaction_id, event_time)",
    )
    assert 0.007 < late < 0.013


def test_a_correction_is_known_later_and_says_something_else(tables: Any) -> None:
    versions = (
        "SELECT row_number() OVER history AS number, (amount, status) <> lag((amount, status)) OVER history AS differs "
        "FROM (SELECT DISTINCT * FROM transactions) "
        "WINDOW history AS (PARTITION BY transaction_id ORDER BY ingested_at)"
    )
    corrections = _number(tables, f"SELECT count(*) FROM ({versions}) WHERE number = 2 AND differs")
    assert _number(tables, f"SELECT count(*) FROM ({versions}) WHERE number > 1") == corrections
    assert 0.003 < corrections / SIZE < 0.007


def test_a_few_rows_were_sent_twice(data: DemoData, tables: Any) -> None:
    twice = data.tables["transactions"] - _number(tables, "SELECT count(*) FROM (SELECT DISTINCT * FROM transactions)")
    assert 0 < twice < SIZE // 500


def test_rows_of_one_event_and_moment_are_equal(tables: Any) -> None:
    ties = (
        "SELECT transaction_id, event_time, ingested_at FROM (SELECT DISTINCT * FROM transactions) "
        "GROUP BY ALL HAVING count(*) > 1"
    )
    assert _number(tables, f"SELECT count(*) FROM ({ties})") == 0


def test_card_numbers_pass_the_check_digit_test_and_belong_to_one_card(data: DemoData, tables: Any) -> None:
    numbers = [number for (number,) in tables.execute("SELECT DISTINCT card_number FROM cards").fetchall()]
    assert [number for number in numbers if not _passes_luhn(number)] == []
    assert len(numbers) == Population(Draw(0), SIZE).cards
    assert {len(number) for number in numbers} == {15, 16}


def _passes_luhn(number: str) -> bool:
    digits = [int(character) for character in reversed(number)]
    return (sum(digits[0::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def test_account_numbers_pass_the_check_digit_test(tables: Any) -> None:
    accounts = [
        iban for (iban,) in tables.execute("SELECT DISTINCT iban FROM merchants WHERE iban IS NOT NULL").fetchall()
    ]
    assert len(accounts) > 100
    lengths = {"GB": 22, "DE": 22, "FR": 27, "IE": 22, "SE": 24}
    for iban in accounts:
        assert len(iban) == lengths[iban[:2]]
        assert int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def test_every_reference_leads_somewhere(tables: Any) -> None:
    references = {
        ("transactions", "card_number"): "cards",
        ("transactions", "customer_id"): "customers",
        ("transactions", "merchant_id"): "merchants",
        ("transactions", "device_id"): "devices",
        ("cards", "customer_id"): "customers",
        ("devices", "customer_id"): "customers",
        ("disputes", "transaction_id"): "transactions",
        ("disputes", "card_number"): "cards",
    }
    for (table, column), other in references.items():
        orphans = f"SELECT count(*) FROM {table} ANTI JOIN {other} USING ({column}) WHERE {column} IS NOT NULL"
        assert _number(tables, orphans) == 0, (table, column)


def test_profiles_have_versions_that_differ(tables: Any) -> None:
    assert _number(tables, "SELECT count(*) FROM (SELECT DISTINCT * EXCLUDE (updated_at) FROM customers)") > _number(
        tables, "SELECT 1.2 * count(DISTINCT customer_id) FROM customers"
    )
    assert (
        _number(
            tables,
            "SELECT count(*) FROM (SELECT 1 FROM customers GROUP BY customer_id, updated_at HAVING count(*) > 1)",
        )
        == 0
    )


def test_few_merchants_have_much_of_the_trade_and_nights_are_quiet(tables: Any) -> None:
    share = _number(
        tables,
        "SELECT sum(n) FILTER (place <= 0.01) / sum(n) FROM (SELECT count(*) AS n, "
        "percent_rank() OVER (ORDER BY count(*) DESC) AS place FROM transactions GROUP BY merchant_id)",
    )
    assert 0.08 < share < 0.5
    night, noon = (
        _number(tables, f"SELECT count(*) FROM transactions WHERE hour(event_time) = {hour}") for hour in (3, 12)
    )
    assert night * 5 < noon


def test_fraud_comes_in_bursts_on_one_card(tables: Any) -> None:
    bursts = _number(
        tables,
        "SELECT count(*) FROM (SELECT card_number, time_bucket(INTERVAL 1 HOUR, event_time) AS hour FROM transactions "
        "WHERE channel = 'ecommerce' AND entry_mode = 'keyed' GROUP BY ALL "
        "HAVING count(*) >= 4 AND max(amount) > 50 * min(amount))",
    )
    assert bursts > SIZE / 3_200 / 4
    assert _number(tables, "SELECT count(*) FILTER (reason = 'fraud') / count(*) FROM disputes") > 0.4


def test_personal_values_are_plainly_made_up(tables: Any) -> None:
    real_domain = (
        "email NOT LIKE '%.demo@%' AND NOT regexp_matches(email, '@(mail\\.|post\\.)?example\\.(com|org|net)$')"
    )
    assert _number(tables, f"SELECT count(*) FROM customers WHERE {real_domain}") == 0
    documentation = r"^(192\.0\.2|198\.51\.100|203\.0\.113|198\.18\.\d+)\.\d+$"
    real_address = f"NOT regexp_matches(ip_address, '{documentation}') AND NOT starts_with(ip_address, '2001:db8:')"
    assert _number(tables, f"SELECT count(*) FROM devices WHERE {real_address}") == 0
    assert _number(tables, "SELECT count(*) FROM disputes WHERE narrative LIKE '%@%'") > 0


def test_memory_does_not_grow_with_the_number_of_transactions(tmp_path: Path) -> None:
    small, large = (_peak_megabytes(tmp_path / str(size), size) for size in (100_000, 1_500_000))
    assert large < 400
    assert large - small < 120


def _peak_megabytes(folder: Path, transactions: int) -> float:
    script = (
        "import sys; from pathlib import Path; from feature_platform.demo.generate import generate; "
        "generate(Path(sys.argv[1]), transactions=int(sys.argv[2])); "
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    command = [sys.executable, "-c", script, str(folder), str(transactions)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024


def test_the_constants_name_every_column_once() -> None:
    for table in TABLES:
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        assert {table.event_time, *table.key} <= set(names)
    assert TRANSACTIONS.available_at == "ingested_at"
