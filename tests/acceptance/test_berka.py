"""A real bank: every feature of every loan, account and store equals what plain Python computes from the same files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from feature_platform.cli.main import app
from feature_platform.errors import GuardError, UsageError
from feature_platform.orchestration.materialization import table_of
from feature_platform.orchestration.runs import materialize
from feature_platform.project.project import Project
from feature_platform.project.state import STATE_VARIABLE
from feature_platform.sdk.client import FeatureStore
from feature_platform.stores.protocols import Query
from tests.acceptance.berka_reference import Berka, Loan

HERE = Path(__file__).parent
DATA = Path(os.environ.get("BERKA_DATA", HERE.parents[2] / "shared" / "data" / "berka"))
END = datetime(1994, 4, 1)
SERVICE = "loan_default"
LOAN_FEATURES = [SERVICE, "account_month:*", "loan_terms:*", "affordability:*"]


@pytest.fixture(scope="module")
def berka() -> Berka:
    if not (DATA / "trans.csv.gz").exists():
        pytest.skip(f"the Berka files are not in {DATA}; BERKA_DATA names another folder")
    return Berka(DATA)


@pytest.fixture(scope="module")
def project(berka: Berka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    state = tmp_path_factory.mktemp("berka")
    (state / "data").symlink_to(DATA, target_is_directory=True)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(STATE_VARIABLE, str(state))
        with Project.open(HERE / "berka") as opened:
            report = materialize(opened, as_of=END, partition="1994-03-29..1994-03-31")
            assert report.ok, report.of("failed")
            yield opened


@pytest.fixture(scope="module")
def store(project: Project) -> FeatureStore:
    return FeatureStore(project, purpose="credit_risk")


@pytest.fixture(scope="module")
def loan_rows(store: FeatureStore, berka: Berka) -> list[dict[str, Any]]:
    loans = berka.loans
    spine = pa.table(
        {
            "loan_id": [loan.id for loan in loans],
            "account_id": [loan.account for loan in loans],
            "day": [loan.day for loan in loans],
            "instalment": [loan.payments for loan in loans],
            "year": [loan.day.year for loan in loans],
        }
    )
    return store.training_set(spine, LOAN_FEATURES, time="day").to_arrow().to_pylist(maps_as_pydicts="strict")


def test_every_loan_keeps_its_row(loan_rows: list[dict[str, Any]], berka: Berka) -> None:
    assert len(loan_rows) == 682
    assert [row["loan_id"] for row in loan_rows] == [loan.id for loan in berka.loans]


def test_account_features_at_loan_dates_equal_plain_python(loan_rows: list[dict[str, Any]], berka: Berka) -> None:
    for row, loan in zip(loan_rows, berka.loans, strict=True):
        assert_equal(row, berka.features(loan.account, loan.day), f"loan {loan.id}")


def test_snapshot_features_at_loan_dates_equal_plain_python(loan_rows: list[dict[str, Any]], berka: Berka) -> None:
    for row, loan in zip(loan_rows, berka.loans, strict=True):
        month = berka.household(loan.account, loan.day)
        assert_equal(row, {f"account_month__{name}": value for name, value in month.items()}, f"loan {loan.id}")


def test_loan_features_equal_the_file(loan_rows: list[dict[str, Any]], berka: Berka) -> None:
    for row, loan in zip(loan_rows, berka.loans, strict=True):
        terms = {"amount": loan.amount, "duration": loan.duration, "payments": loan.payments}
        assert_equal(row, {f"loan_terms__{name}": value for name, value in terms.items()}, f"loan {loan.id}")


def test_derived_features_at_loan_dates_equal_plain_python(loan_rows: list[dict[str, Any]], berka: Berka) -> None:
    for row, loan in zip(loan_rows, berka.loans, strict=True):
        assert_equal(row, affordability(berka, loan), f"loan {loan.id}")


def test_the_command_gives_what_plain_python_computes_from_the_files(
    project: Project, store: FeatureStore, berka: Berka, tmp_path: Path
) -> None:
    query = """
        SELECT loan_id, account_id, date AS day, payments AS instalment, CAST(year(date) AS int) AS year
        FROM loans ORDER BY loan_id
    """
    out = tmp_path / "rows.parquet"
    features = [part for each in LOAN_FEATURES for part in ("-f", each)]
    places = ["--project", str(HERE / "berka"), "--out", str(out)]
    told = CliRunner().invoke(
        app,
        ["training-set", "--spine-sql", query, *features, "--time", "day", "--purpose", "credit_risk", *places],
    )
    assert told.exit_code == 0, told.output
    rows = pq.read_table(out).to_pylist(maps_as_pydicts="strict")
    loans = sorted(berka.loans, key=lambda loan: loan.id)
    assert [row["loan_id"] for row in rows] == [loan.id for loan in loans]
    for row, loan in zip(rows, loans, strict=True):
        expected = loan_features(berka, loan)
        assert set(row) - {"loan_id", "account_id", "day", "instalment", "year"} == set(expected)
        assert_equal(row, expected, f"loan {loan.id}")


def test_a_dataset_of_all_loans_is_made_again(store: FeatureStore, berka: Berka) -> None:
    """To the last bit: deviations show it when threads add in another order."""
    loans = [loan for loan in berka.loans for _ in range(2)]
    spine = pa.table({"account_id": [loan.account for loan in loans], "day": [loan.day for loan in loans]})
    store.create_dataset("loans", spine, [SERVICE], time="day")
    verified = store.verify_dataset("loans")
    assert verified.reproduced, verified.differing
    assert not verified.rounded


@pytest.mark.parametrize("day", [date(1993, 1, 2), date(1993, 12, 31), date(1996, 2, 29)])
def test_every_account_on_a_day_equals_plain_python(store: FeatureStore, berka: Berka, day: date) -> None:
    spine = pa.table({"account_id": berka.accounts, "day": [day] * len(berka.accounts)})
    rows = store.training_set(spine, [SERVICE], time="day").to_arrow().to_pylist(maps_as_pydicts="strict")
    for row in rows:
        assert_equal(row, berka.features(row["account_id"], day), f"account {row['account_id']} on {day}")


def test_published_rows_equal_plain_python(project: Project, berka: Berka) -> None:
    published = {row["account_id"]: row for row in rows_of(project, "account_activity")}
    expected = {account: berka.activity(account, END.date()) for account in berka.accounts}
    assert set(published) == {account for account, values in expected.items() if values["bookings_all"]}
    for account, row in published.items():
        assert_equal(row, expected[account], f"account {account}")


def test_published_partitions_equal_plain_python(project: Project, berka: Berka) -> None:
    rows = rows_of(project, "account_month")
    assert {row["event_time"] for row in rows} == {datetime(1994, 3, 30), datetime(1994, 3, 31), END}
    for row in rows:
        day = row["event_time"].date()
        assert_equal(row, berka.household(row["account_id"], day), f"account {row['account_id']} on {day}")


def test_online_vectors_equal_plain_python(store: FeatureStore, berka: Berka) -> None:
    vectors = store.online(SERVICE, [{"account_id": account} for account in berka.accounts])
    for account, vector in zip(berka.accounts, vectors, strict=True):
        assert_equal(vector.values, berka.features(account, END.date()), f"account {account} online")


def test_an_unknown_account_gets_empty_answers(store: FeatureStore) -> None:
    vector = store.online(SERVICE, {"account_id": -1})[0]
    assert set(vector.statuses.values()) == {"missing"}
    assert vector.values["account_activity__bookings_all"] == 0
    assert vector.values["account_activity__credits_30d"] == 0
    assert vector.values["account_activity__balance_all"] is None


def test_the_birth_number_itself_can_not_be_had(store: FeatureStore) -> None:
    with pytest.raises(GuardError, match="birth_number"):
        store.sql("SELECT client_id, birth_number FROM clients")


def test_what_was_learnt_from_the_birth_number_is_labelled(store: FeatureStore, berka: Berka) -> None:
    spine = pa.table({"account_id": [1], "day": [date(1998, 1, 1)]})
    columns = {column.name: column for column in store.training_set(spine, ["account_owner:*"], time="day").features}
    assert {name: {str(label) for label in column.labels} for name, column in columns.items()} == {
        "account_owner__birth_year": {"partial(birth_number, birth_number_birth_year)"},
        "account_owner__sex": {"partial(birth_number, birth_number_sex)"},
        "account_owner__age_1999": {"partial(birth_number, birth_number_age_years)"},
    }


def test_marketing_may_not_have_what_was_learnt_from_the_birth_number(project: Project) -> None:
    store = FeatureStore(project, purpose="marketing")
    with pytest.raises(UsageError, match="FP-SDK-003"):
        store.training_set(pa.table({"account_id": [1], "day": [date(1998, 1, 1)]}), ["account_owner:sex"], time="day")


def affordability(berka: Berka, loan: Loan) -> dict[str, Any]:
    """The derived view's features on the day of the loan."""
    activity = berka.activity(loan.account, loan.day)
    born = berka.owner(loan.account, loan.day)["birth_year"]
    received, balance = activity["credits_90d"], activity["balance_all"]
    return {
        "affordability__instalment_share": float(loan.payments) * 3 / float(received) if received else None,
        "affordability__covers_instalment": balance is not None and balance >= loan.payments,
        "affordability__age": None if born is None else loan.day.year - born,
    }


def loan_features(berka: Berka, loan: Loan) -> dict[str, Any]:
    """Everything that is asked for a loan."""
    month = berka.household(loan.account, loan.day)
    terms = {"amount": loan.amount, "duration": loan.duration, "payments": loan.payments}
    return {
        **berka.features(loan.account, loan.day),
        **{f"account_month__{name}": value for name, value in month.items()},
        **{f"loan_terms__{name}": value for name, value in terms.items()},
        **affordability(berka, loan),
    }


def rows_of(project: Project, view: str) -> list[dict[str, Any]]:
    """The published rows of a view, as the warehouse holds them."""
    warehouse, table = project.warehouse(), table_of(view)
    binding = warehouse.binding(table)
    assert binding is not None
    query = Query(f'SELECT * FROM "features"."{view}"', warehouse.engine, tables={table: binding})
    return warehouse.read(query).read_all().to_pylist(maps_as_pydicts="strict")


def assert_equal(row: Mapping[str, Any], expected: Mapping[str, Any], what: str) -> None:
    """Exactly equal, doubles to 12 digits."""
    for name, value in expected.items():
        found = row[name]
        if isinstance(value, float) and found is not None:
            assert math.isclose(found, value, rel_tol=1e-12, abs_tol=1e-9), f"{what}: {name} is {found}, not {value}"
        else:
            assert not isinstance(value, dict) or list(found or ()) == list(value), f"{what}: {name} is not in order"
            assert found == value, f"{what}: {name} is {found!r}, not {value!r}"
            assert isinstance(found, Decimal) == isinstance(value, Decimal), f"{what}: {name} is a {type(found)}"
