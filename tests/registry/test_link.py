# ruff: noqa: E501 - one case per line reads as a table
"""What linking makes of documents, and everything that keeps documents from fitting together, at its line and column.

In a case's text the sign ‸ stands before the character that the problem has to name; it is not part of the document.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import pytest

from feature_platform.errors import RegistryError
from feature_platform.registry.graph import Registry, TableRef
from feature_platform.registry.link import examine, link
from feature_platform.specs.loader import LoadedDocument, LoadedProject, parse

MARK = "‸"

PLATFORM = """\
kind: platform
name: p
purposes: {fraud: To stop it., credit: To lend.}
profiles:
  embedded: {stores: {warehouse: {type: duckdb_delta}, other: {type: postgres}, redis: {type: redis}}}
  production: {stores: {warehouse: {type: postgres}, other: {type: postgres}, redis: {type: redis}}}
---
kind: domain
name: payments
owner: team:payments
---
kind: domain
name: risk
owner: team:risk
purposes: [fraud]
"""

ENTITIES = """\
kind: entity
name: card
keys: [{name: card_id, type: bigint}]
---
kind: entity
name: person
keys: [{name: email, type: string, pii: email}]
---
kind: entity
name: card_at_shop
keys: [{name: card_id, type: bigint}, {name: shop_id, type: bigint}]
"""

SOURCES = """\
kind: source
name: transactions
table: transactions
event_time: at
key: [id]
columns:
  id: {type: bigint}
  card_id: {type: bigint}
  card_text: {type: string}
  at: {type: timestamp}
  amount: {type: "decimal(18,2)"}
  status: {type: string}
  flag: {type: boolean}
  tags: {type: array<string>}
  ssn: {type: bigint, pii: national_id}
  mail: {type: string, pii: email}
---
kind: source
name: cards
table: cards
columns: {card_id: {type: bigint}, at: {type: timestamp}}
---
kind: source
name: elsewhere
store: other
table: elsewhere
columns: {card_id: {type: bigint}, at: {type: timestamp}}
"""

VIEWS = """\
kind: feature_view
name: spend
entity: card
source: transactions
aggregations: [{function: sum, column: amount, windows: [1d, 7d]}, {function: count, windows: [all]}]
---
kind: feature_view
name: latest
entity: card
sql: SELECT card_id, at, amount AS last_amount FROM transactions
event_time: at
---
kind: feature_view
name: ratio
entity: card
inputs: [spend, latest]
derived: [{name: share, expression: last_amount / amount_sum_7d}]
---
kind: feature_service
name: model
purpose: fraud
features: ["spend:*", "latest:*", "ratio:share", "spend:count_all"]
"""

BASE = {
    "base.yaml": PLATFORM,
    "entities.yaml": ENTITIES,
    "payments/sources.yaml": SOURCES,
    "payments/views.yaml": VIEWS,
}


def _documents(files: dict[str, str]) -> tuple[LoadedDocument, ...]:
    documents: list[LoadedDocument] = []
    for file, text in files.items():
        report = parse(text.encode(), file)
        assert not report.problems, report.problems
        documents += report.documents
    return tuple(documents)


def _link(extra: dict[str, str] | None = None, domains: Collection[str] | None = None) -> Registry:
    return link(LoadedProject(_documents(BASE | (extra or {}))), Path("feature_defs"), domains=domains)


def _problems(extra: dict[str, str]) -> list[tuple[str, str]]:
    with pytest.raises(RegistryError) as caught:
        _link(extra)
    return [(problem.code, str(problem.where)) for problem in caught.value.problems]


# --- what comes out


def test_a_linked_view_knows_its_domain_owner_and_what_it_reads() -> None:
    view = _link().views["latest"]
    assert (view.domain, view.owner) == ("payments", "team:payments")
    assert view.reads == (TableRef("source", "transactions"),)


def test_a_view_comes_after_what_it_reads() -> None:
    names = list(
        _link(
            {
                "payments/a.yaml": "kind: feature_view\nname: a\nentity: card\nsql: SELECT * FROM latest\nevent_time: event_time\n"
            }
        ).views
    )
    assert names.index("latest") < names.index("a")
    assert names.index("ratio") > max(names.index("spend"), names.index("latest"))


def test_a_star_of_known_features_is_spelled_out_each_once() -> None:
    assert _link().services["model"].features == (
        ("spend", "amount_sum_1d"), ("spend", "amount_sum_7d"), ("spend", "count_all"), ("latest", "*"), ("ratio", "share"),
    )  # fmt: skip


def test_the_domain_that_a_document_names_goes_before_its_folder() -> None:
    source = "kind: source\nname: s\ndomain: risk\ntable: t\ncolumns: {a: {type: int}}\n"
    assert _link({"payments/s.yaml": source}).sources["s"].owner == "team:risk"


def test_the_registry_cannot_be_changed() -> None:
    registry = _link()
    with pytest.raises(TypeError):
        registry.views["spend"] = registry.views["latest"]  # type: ignore[index]


def test_upstream_views_are_those_read_directly_or_not() -> None:
    views = "".join(
        f"---\nkind: feature_view\nname: {name}\nentity: card\nsql: SELECT * FROM {read}\nevent_time: event_time\n"
        for name, read in (("c", "b"), ("b", "latest"))
    )
    assert _link({"payments/more.yaml": views[4:]}).upstream("c") == ("latest", "b")


@pytest.mark.parametrize(
    ("purposes", "settled"),
    [("", ("fraud",)), ("purposes: [fraud]\n", ("fraud",))],
)
def test_a_view_on_a_limited_view_is_limited_too(purposes: str, settled: tuple[str, ...]) -> None:
    limited = "kind: feature_view\nname: limited\nentity: card\nsql: SELECT * FROM latest\nevent_time: at\n"
    above = f"kind: feature_view\nname: above\nentity: card\nsql: SELECT * FROM limited\nevent_time: at\n{purposes}"
    assert _link({"risk/a.yaml": limited, "payments/b.yaml": above}).views["above"].purposes == settled


def test_a_view_without_purposes_may_be_used_for_all() -> None:
    assert _link().views["spend"].purposes == ("fraud", "credit")


RISK = """\
kind: feature_view
name: score
entity: card
sql: SELECT card_id, event_time, last_amount FROM latest
event_time: event_time
"""


def test_a_selection_by_domain_keeps_what_its_views_need_from_others() -> None:
    registry = _link({"risk/score.yaml": RISK}, domains=["risk"])
    assert list(registry.views) == ["latest", "score"]
    assert list(registry.sources) == ["transactions"]
    assert list(registry.services) == []


def test_a_selection_by_domain_keeps_what_its_services_serve() -> None:
    service = "kind: feature_service\nname: s\npurpose: fraud\nfeatures: ['ratio:share']\n"
    registry = _link({"risk/s.yaml": service}, domains=["risk"])
    assert set(registry.views) == {"ratio", "spend", "latest"}
    assert list(registry.services) == ["s"]


def test_an_unknown_selection_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RegistryError, match="Did you mean 'payments'") as caught:
        _link(domains=["payment"])
    assert caught.value.code == "FP-REG-008"


# --- what is refused


class Case(NamedTuple):
    name: str
    code: str
    text: str
    says: str = ""
    """Part of what the problem says or of its mend."""
    file: str = "payments/case.yaml"


def _aggregation(line: str, more: str = "", source: str = "transactions", entity: str = "card") -> str:
    return f"kind: feature_view\nname: v\nentity: {entity}\nsource: {source}\naggregations: [{{{line}}}]\n{more}"


def _sql(sql: str, more: str = "") -> str:
    return f"kind: feature_view\nname: v\nentity: card\nsql: |\n  {sql}\nevent_time: at\n{more}"


COUNT = "function: count, windows: [1d]"
SELECT = "SELECT card_id, at FROM transactions"
SOURCE = "kind: source\nname: s\ntable: t\ncolumns: {a: {type: bigint}, at: {type: timestamp}}\n"
DERIVED = (
    "kind: feature_view\nname: v\nentity: card\ninputs: [spend]\nderived: [{name: d, expression: amount_sum_1d}]\n"
)
SERVICE = "kind: feature_service\nname: s\npurpose: fraud\nfeatures: ['spend:count_all']\n"

CASES = (
    # names
    Case("unknown entity", "FP-REG-001", _aggregation(COUNT, entity="‸crad"), "Did you mean 'card'?"),
    Case("unknown source", "FP-REG-001", _aggregation(COUNT, source="‸transaction"), "Did you mean 'transactions'?"),
    Case("view as source", "FP-REG-001", _aggregation(COUNT, source="‸latest"), "no source"),
    Case("unknown table in SQL", "FP-REG-001", _sql("SELECT card_id, at\n  FROM cards\n  JOIN ‸transaktions USING (card_id)"), "transactions"),
    Case("unknown table in a subquery", "FP-REG-001", _sql("SELECT * FROM (SELECT * FROM ‸nobody) x")),
    Case("qualified table", "FP-REG-001", _sql("SELECT * FROM ‸features.transactions"), "Write `transactions`"),
    Case("unknown input", "FP-REG-001", DERIVED.replace("[spend]", "[spend, ‸spent]"), "Did you mean 'spend'?"),
    Case("unknown view of a service", "FP-REG-001", SERVICE.replace("spend:", "‸spent:"), "Did you mean 'spend'?"),
    Case("unknown purpose of a service", "FP-REG-001", SERVICE.replace("fraud", "‸frauds"), "Did you mean 'fraud'?"),
    Case("unknown purpose of a view", "FP-REG-001", _sql(SELECT, "purposes: [fraud, ‸fun]\n"), "fraud"),
    Case("unknown purpose of a domain", "FP-REG-001", "kind: domain\nname: d\nowner: team:d\npurposes: [‸fun]\n"),
    Case("unknown purpose of a policy", "FP-REG-001", "kind: policy\nname: x\nowner: team:x\nrules: [{classification: email, action: deny, purposes: [‸fun]}]\n"),
    Case("unknown domain", "FP-REG-001", SOURCE + "domain: ‸paiments\n", "Did you mean 'payments'?"),
    Case("unknown store", "FP-REG-001", SOURCE + "store: ‸warehose\n", "Did you mean 'warehouse'?"),
    Case("unknown online store", "FP-REG-001", _sql(SELECT, "materialization: {online: ‸reddis}\n"), "Did you mean 'redis'?"),
    Case("one of two online stores unknown", "FP-REG-001", _sql(SELECT, "materialization: {online: [redis, ‸x]}\n")),
    Case("same name twice", "FP-REG-002", SOURCE.replace("name: s", "name: ‸cards"), "payments/sources.yaml"),
    Case("view named like a source", "FP-REG-003", _sql(SELECT).replace("name: v", "name: ‸cards"), "payments/sources.yaml"),
    Case("view that reads itself", "FP-REG-004", _sql("SELECT * FROM ‸v"), "v → v"),
    Case("second platform", "FP-REG-005", "‸kind: platform\nname: q\npurposes: {fraud: x, credit: y}\nprofiles: {embedded: {stores: {w: {type: redis}}}}\n", "base.yaml"),
    Case("file without domain", "FP-REG-006", "‸" + SOURCE, "has no domain", "case.yaml"),
    Case("folder that is no domain", "FP-REG-006", "‸" + SOURCE, "Did you mean 'payments'?", "payment/case.yaml"),
    Case("key named event_time", "FP-REG-007", "kind: entity\nname: e\nkeys: [{name: ‸event_time, type: bigint}]\n"),
    Case("feature named fp_", "FP-REG-007", _aggregation(f"{COUNT}, name: ‸fp_n")),
    Case("two underscores in a view", "FP-REG-007", _sql(SELECT).replace("name: v", "name: ‸a__b")),
    Case("underscore at a view's end", "FP-REG-007", _sql(SELECT).replace("name: v", "name: ‸a_")),
    # columns and types
    Case("unknown column", "FP-REG-010", _aggregation("function: sum, column: ‸amuont, windows: [1d]"), "Did you mean 'amount'?"),
    Case("unknown event_time", "FP-REG-010", SOURCE + "event_time: ‸att\n", "Did you mean 'at'?"),
    Case("unknown available_at", "FP-REG-010", SOURCE + "event_time: at\navailable_at: ‸never\n"),
    Case("unknown key of a source", "FP-REG-010", SOURCE + "key: [a, ‸b]\n"),
    Case("entity key missing in the source", "FP-REG-010", _aggregation(COUNT, entity="‸card_at_shop"), "keys: {shop_id: <column>}"),
    Case("mapped key missing in the source", "FP-REG-010", _aggregation(COUNT, "keys: {card_id: ‸card}\n"), "Did you mean 'card_id'?"),
    Case("map of no key", "FP-REG-010", _aggregation(COUNT, "keys: {‸card: card_id}\n"), "no key 'card'"),
    Case("columns that differ by case", "FP-REG-011", SOURCE.replace("at: {", "At: {type: int}, ‸at: {")),
    Case("key twice", "FP-REG-011", "kind: entity\nname: e\nkeys: [{name: a, type: bigint}, {name: ‸A, type: int}]\n"),
    Case("key of another type", "FP-REG-012", _aggregation(COUNT, "keys: {card_id: ‸card_text}\n"), "string"),
    Case("key of another class", "FP-REG-012", _aggregation(COUNT, "keys: {email: ‸status}\n", entity="person"), "classified email"),
    Case("sum of text", "FP-REG-013", _aggregation("function: sum, column: ‸status, windows: [1d]"), "a number"),
    Case("avg of a boolean", "FP-REG-013", _aggregation("function: avg, column: ‸flag, windows: [1d]")),
    Case("max of a list", "FP-REG-013", _aggregation("function: max, column: ‸tags, windows: [1d]"), "order"),
    Case("min of a boolean", "FP-REG-013", _aggregation("function: min, column: ‸flag, windows: [1d]")),
    Case("event_time that is no time", "FP-REG-013", SOURCE + "event_time: ‸a\n", "timestamp or date"),
    Case("key of floats", "FP-REG-013", "kind: entity\nname: e\nkeys: [{name: a, type: ‸double}]\n"),
    Case("events without time", "FP-REG-014", _aggregation(COUNT, source="‸cards"), "event_time"),
    Case("SQL without time", "FP-REG-014", f"kind: feature_view\nname: v\nentity: card\n‸sql: {SELECT}\n", "event_time"),
    Case("last without key", "FP-REG-015", SOURCE.replace("a: {type: bigint}", "card_id: {type: bigint}") + "event_time: at\n---\n" + _aggregation("function: ‸last, column: at, windows: [1d]", source="s"), "key:"),
    Case("sum of identifiers", "FP-REG-016", _aggregation("function: sum, column: ‸ssn, windows: [1d]"), "national_id"),
    Case("default of another type", "FP-REG-017", _aggregation("function: sum, column: amount, windows: [1d], default: ‸none"), "a number"),
    Case("fraction for a count", "FP-REG-017", _aggregation(f"{COUNT}, default: ‸0.5"), "a whole number"),
    Case("number for text", "FP-REG-017", _aggregation("function: max, column: status, windows: [1d], default: ‸0"), "text"),
    Case("true for a number", "FP-REG-017", _aggregation("function: sum, column: amount, windows: [1d], default: ‸true")),
    # features
    Case("two lines of one name", "FP-REG-020", _aggregation(f"{COUNT}}}, {{function: ‸count, windows: [1d], where: flag"), "name:"),
    Case("feature named like a key", "FP-REG-020", DERIVED.replace("name: d,", "name: ‸card_id,"), "key of the entity"),
    Case("feature named like a request value", "FP-REG-020", DERIVED.replace("name: d,", "name: ‸r,") + "request: {r: int}\n"),
    Case("request named event_time", "FP-REG-020", DERIVED + "request: {‸event_time: timestamp}\n"),
    Case("contract of no feature", "FP-REG-021", _aggregation(COUNT, "features: {‸count_2d: {}}\n"), "Did you mean 'count_1d'?"),
    Case("contract of a key", "FP-REG-021", _sql(SELECT, "features: {‸card_id: {}}\n")),
    Case("service of no feature", "FP-REG-021", SERVICE.replace("spend:count_all", "‸spend:count_1d"), "count_all"),
    Case("feature of a column in capitals", "FP-REG-022", SOURCE.replace("a: {type: bigint}", "card_id: {type: bigint}, Amount: {type: int}") + "event_time: at\n---\n" + _aggregation("function: ‸sum, column: Amount, windows: [1d]", source="s"), "Amount_sum_1d"),
    Case("feature name too long", "FP-REG-022", _aggregation(f"{COUNT}, name: ‸{'a' * 63}"), "64"),
    Case("SQL over a derived view", "FP-REG-023", _sql("SELECT * FROM ‸ratio"), "derived"),
    Case("derived from a derived view", "FP-REG-023", DERIVED.replace("[spend]", "[‸ratio]"), "derived"),
    Case("input of another entity", "FP-REG-023", DERIVED.replace("entity: card", "entity: person").replace("[spend]", "[‸spend]"), "'card'"),
    Case("SQL over a view without rows", "FP-REG-023", _sql("SELECT * FROM ‸w") + "---\n" + _sql(SELECT, "materialization: {offline: null}\n").replace("name: v", "name: w"), "offline"),
    # stores
    Case("history in Redis", "FP-REG-030", _sql(SELECT, "materialization: {offline: ‸redis}\n"), "duckdb_delta or postgres"),
    Case("source in Redis", "FP-REG-030", SOURCE + "store: ‸redis\n"),
    Case("serving from DuckDB", "FP-REG-030", _sql(SELECT, "materialization: {online: ‸warehouse}\n"), "'embedded'"),
    Case("online without offline", "FP-REG-031", _sql(SELECT, "materialization: {offline: null, online: ‸redis}\n")),
    Case("inputs in two stores", "FP-REG-032", _sql("SELECT * FROM transactions JOIN ‸elsewhere USING (card_id)"), "'elsewhere' lies in 'other'"),
    # time
    Case("minute 60", "FP-REG-040", _sql(SELECT, "materialization: {schedule: '‸60 * * * *'}\n"), "0 to 59"),
    Case("backward range", "FP-REG-040", _sql(SELECT, "materialization: {schedule: '‸0 18-6 * * *'}\n"), "backwards"),
    Case("30 February", "FP-REG-040", _sql(SELECT, "materialization: {schedule: '‸0 0 30 2 *'}\n"), "never"),
    Case("snapshot without schedule", "FP-REG-041", _aggregation(COUNT, "accuracy: ‸snapshot\n"), "schedule"),
    Case("ttl below the interval", "FP-REG-041", _sql(SELECT, "ttl: ‸23h\nmaterialization: {schedule: '@daily'}\n"), "`ttl`"),
    Case("lookback without partition", "FP-REG-041", _sql(SELECT, "materialization: {‸lookback: 3d}\n"), "partition"),
    Case("start without partition", "FP-REG-041", _aggregation(COUNT, "materialization: {‸start: 2026-01-01, partition: none}\n")),
    Case("hours built once a day", "FP-REG-041", _sql(SELECT, "materialization: {partition: ‸hour, schedule: '@daily'}\n"), "hour"),
    Case("lookback below a partition", "FP-REG-041", _sql(SELECT, "materialization: {partition: day, lookback: ‸23h}\n"), "one day"),
    # purposes
    Case("service for another purpose", "FP-REG-050", SERVICE.replace("fraud", "credit").replace("['spend:count_all']", "['‸w:*']") + "---\n" + _sql(SELECT, "purposes: [fraud]\n").replace("name: v", "name: w"), "for credit"),
    Case("view for more than it reads allows", "FP-REG-050", _sql("SELECT * FROM ‸w", "purposes: [fraud, credit]\n") + "---\n" + _sql(SELECT, "purposes: [fraud]\n").replace("name: v", "name: w"), "credit"),
    Case("view on two that share no purpose", "FP-REG-050", _sql("SELECT * FROM w JOIN ‸x ON true") + "---\n" + _sql(SELECT, "purposes: [fraud]\n").replace("name: v", "name: w") + "---\n" + _sql(SELECT, "purposes: [credit]\n").replace("name: v", "name: x")),
    # SQL
    Case("no SQL", "FP-REG-060", _sql("SELECT card_id,\n    at FORM ‸transactions"), "near `transactions`"),
    Case("unclosed bracket", "FP-REG-060", _sql("SELECT count(a\n  ‸FROM transactions")),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_does_not_fit_is_refused_at_its_place(case: Case) -> None:
    before, mark, after = case.text.partition(MARK)
    assert mark, "the case does not say where"
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    with pytest.raises(RegistryError) as caught:
        _link({case.file: before + after})
    found = [(problem.code, str(problem.where)) for problem in caught.value.problems]
    assert found == [(case.code, f"{case.file}:{line}:{column}")]
    (problem,) = caught.value.problems
    assert case.says in f"{problem.what} {problem.mend}"
    assert problem.mend


def test_all_problems_come_in_one_report_in_order() -> None:
    assert _problems(
        {
            "payments/a.yaml": _aggregation("function: sum, column: nothing, windows: [1d]", entity="nobody"),
            "payments/b.yaml": _sql("SELECT * FROM nowhere").replace("name: v", "name: w"),
        }
    ) == [
        ("FP-REG-001", "payments/a.yaml:3:9"),
        ("FP-REG-010", "payments/a.yaml:5:40"),
        ("FP-REG-001", "payments/b.yaml:5:17"),
    ]


def test_a_cycle_is_named_with_its_whole_path_once() -> None:
    views = "---\n".join(
        f"kind: feature_view\nname: {name}\nentity: card\nsql: SELECT * FROM {read}\nevent_time: at\n"
        for name, read in (("c", "a"), ("a", "b"), ("b", "c"))
    )
    with pytest.raises(RegistryError, match="a → b → c → a") as caught:
        _link({"payments/x.yaml": views})
    assert [(problem.code, str(problem.where)) for problem in caught.value.problems] == [
        ("FP-REG-004", "payments/x.yaml:10:20")
    ]


def test_a_project_without_platform_is_refused() -> None:
    documents = _documents({"x/d.yaml": "kind: domain\nname: x\nowner: team:x\n"})
    with pytest.raises(RegistryError) as caught:
        link(LoadedProject(documents), Path())
    assert caught.value.code == "FP-REG-005"


def test_a_store_that_one_profile_lacks_is_named_with_the_profile() -> None:
    platform = PLATFORM.replace("production: {stores: {warehouse: {type: postgres}, ", "production: {stores: {")
    problems = examine(_documents(BASE | {"base.yaml": platform}), ()).problems
    assert {problem.code for problem in problems} == {"FP-REG-001"}
    assert all("profile 'production'" in problem.what for problem in problems)


def test_a_folder_without_domain_is_reported_once() -> None:
    two = {f"other/{name}.yaml": SOURCE.replace("name: s", f"name: {name}") for name in ("s1", "s2")}
    assert _problems(two) == [("FP-REG-006", "other/s1.yaml:1:1")]


@pytest.mark.parametrize(
    "text",
    [
        _sql("WITH transactions AS (SELECT * FROM transactions) SELECT * FROM transactions"),
        _sql("SELECT * FROM Transactions AS t, CARDS"),
        _sql(SELECT, "ttl: 24h\nmaterialization: {schedule: '@daily'}\n"),
        _sql(SELECT, "materialization: {schedule: '*/15 0-5,12 1 jan-mar MON'}\n"),
        _sql(SELECT, "materialization: {offline: other, online: other}\n"),
        _aggregation(COUNT, "materialization: {schedule: '@hourly', lookback: 3d, start: 2026-01-01}\n"),
        _aggregation("function: last, column: mail, windows: [1d], default: none"),
        _aggregation("function: max, column: at, windows: [1d]"),
        _aggregation(COUNT, "keys: {email: mail}\n", entity="person"),
        _aggregation(COUNT, "keys: {shop_id: id}\n", entity="card_at_shop"),
        DERIVED.replace("entity: card", "entity: card_at_shop"),
        _sql(SELECT, "features: {unknown_here: {not_null: true}}\n"),
    ],
)
def test_what_is_unusual_but_right_is_linked(text: str) -> None:
    assert "v" in _link({"payments/case.yaml": text}).views


def test_a_lost_source_file_does_not_make_reporting_slow() -> None:
    views = "---\n".join(
        _aggregation(COUNT, source=f"gone_{number}").replace("name: v", f"name: v{number}") for number in range(2_000)
    )
    begin = time.perf_counter()
    assert len(_problems({"payments/x.yaml": views})) == 2_000
    assert time.perf_counter() - begin < 20
