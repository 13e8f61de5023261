# ruff: noqa: E501 - one case per line reads as a table
"""Every way in which a document can be wrong: the code, and the very line and column that the author is pointed at.

In a case's text the sign ‸ stands before the character that the problem has to name; it is not part of the document.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from feature_platform.specs.loader import parse

MARK = "‸"


class Case(NamedTuple):
    name: str
    code: str
    text: str
    says: str = ""
    """Part of what the problem says or of its mend."""
    file: str = "payments/document.yaml"


SOURCE = """\
kind: source
name: transactions
table: transactions
columns: {id: {type: bigint}}
"""

VIEW = """\
kind: feature_view
name: spend
entity: card
source: transactions
aggregations: [{function: count, windows: [1d]}]
"""

PLATFORM = """\
kind: platform
name: p
purposes: {fraud: To stop it.}
profiles:
  embedded:
    stores:
"""

YAML_CASES = (
    Case("empty file", "FP-SPEC-010", "‸"),
    Case("only comments", "FP-SPEC-010", "‸# nothing here\n"),
    Case("empty document", "FP-SPEC-010", f"{SOURCE}---\n‸---\n{VIEW}".replace("---\n‸---", "‸---\n---")),
    Case("explicit null", "FP-SPEC-010", "‸~\n"),
    Case("tab as indentation", "FP-SPEC-009", "kind: domain\nowner:\n‸\tname: x\n"),
    Case("tab in a block", "FP-SPEC-009", "kind: feature_view\nsql: |\n‸\tSELECT 1\n"),
    Case("two colons", "FP-SPEC-007", "kind: domain\nname: a‸: b\n", "indentation"),
    Case("unclosed list", "FP-SPEC-007", "kind: domain\npurposes: [a, b\nname‸: x\n", "begun on line 2"),
    Case("unclosed quote", "FP-SPEC-007", 'kind: domain\nname: "a\n‸', "closing quotation mark"),
    Case("unknown escape", "FP-SPEC-007", 'kind: domain\nname: "a‸\\d"\n', "backslash"),
    Case("reserved first character", "FP-SPEC-007", "kind: domain\nowner: ‸@daily\n", "Quote"),
    Case("duplicate field", "FP-SPEC-011", "kind: domain\nname: a\nowner: team:a\n‸name: b\n", "line 2"),
    Case("duplicate in braces", "FP-SPEC-011", SOURCE.replace("bigint", "bigint, ‸type: int")),
    Case("number as field name", "FP-SPEC-012", f"{SOURCE}‸1: x\n", "`1`"),
    Case("boolean as field name", "FP-SPEC-012", f"{SOURCE}‸true: x\n", "boolean"),
    Case("null as field name", "FP-SPEC-012", f"{SOURCE}‸~: x\n", "null"),
    Case("list as field name", "FP-SPEC-012", f"{SOURCE}? ‸[a, b]\n: x\n", "a list"),
    Case("mapping as field name", "FP-SPEC-012", f"{SOURCE}? ‸{{a: b}}\n: x\n", "a mapping"),
    Case("python tag", "FP-SPEC-013", "kind: domain\nname: a\nowner: ‸!!python/object/apply:os.system [ls]\n", "python"),
    Case("harmless tag", "FP-SPEC-013", "kind: domain\nname: ‸!!str 5\nowner: team:a\n"),
    Case("tag on a mapping", "FP-SPEC-013", "‸!thing\nkind: domain\nname: a\nowner: team:a\n"),
    Case("merge key", "FP-SPEC-014", "kind: domain\nname: a\nowner: team:a\n‸<<: {description: x}\n"),
    Case("unknown alias", "FP-SPEC-015", "kind: domain\nname: ‸*nobody\nowner: team:a\n", "`&nobody`"),
    Case("alias of itself", "FP-SPEC-015", "kind: domain\nname: a\nowner: &x [‸*x]\n", "itself"),
    Case("too deep", "FP-SPEC-016", "kind: " + "[" * 19 + "‸[" + "[" * 1000),
    Case("too many digits", "FP-SPEC-017", "kind: feature_service\nname: a\npurpose: b\nfeatures: ['a:b']\nversion: ‸" + "9" * 5000 + "\n"),
    Case("infinite number", "FP-SPEC-017", "kind: feature_service\nname: a\npurpose: b\nfeatures: ['a:b']\nversion: ‸1e999\n"),
    Case("NUL in quotes", "FP-SPEC-006", 'kind: domain\nname: a\nowner: ‸"a\\0b"\n'),
    Case("control character", "FP-SPEC-006", "kind: domain\nname: a‸\x07\n", "U+0007"),
    Case("NUL", "FP-SPEC-006", "kind: domain\nname: a‸\x00b\n", "U+0000"),
    Case("a list instead of a document", "FP-SPEC-020", "‸- kind: domain\n"),
    Case("text instead of a document", "FP-SPEC-020", "‸hello\n"),
    Case("no space behind a colon", "FP-SPEC-020", "‸kind:domain\n", "space"),
    Case("kind missing", "FP-SPEC-021", "‸name: a\n", "feature_view"),
    Case("kind in capitals", "FP-SPEC-021", "‸Kind: domain\n", "lower case"),
    Case("unknown kind", "FP-SPEC-022", "kind: ‸feature_veiw\n", "Did you mean 'feature_view'?"),
    Case("kind is a number", "FP-SPEC-022", "kind: ‸5\n"),
    Case("kind is a list", "FP-SPEC-022", "kind: ‸[domain]\n"),
    Case("unknown field", "FP-SPEC-023", "kind: domain\nname: a\nowner: team:a\n‸ownr: b\n", "Did you mean 'owner'?"),
    Case("unknown nested field", "FP-SPEC-023", f"{VIEW}materialization:\n  ‸shedule: '@daily'\n", "Did you mean 'schedule'?"),
    Case("unknown in list", "FP-SPEC-023", VIEW.replace("count,", "count, ‸colunm: x,"), "Did you mean 'column'?"),
    Case("field of another level", "FP-SPEC-023", f"{VIEW}‸schedule: '@daily'\n", "a field of `materialization`"),
    Case("unknown in a store", "FP-SPEC-023", f"{PLATFORM}      w: {{type: redis, ‸key_prefx: a}}\n", "'key_prefix'"),
    Case("comma in braces", "FP-SPEC-023", VIEW.replace("[1d]", "[1d], description: all, ‸that is"), "quote that text"),
    Case("missing field", "FP-SPEC-024", "‸kind: domain\nname: a\n", "`owner`"),
    Case("missing nested field", "FP-SPEC-024", SOURCE.replace("id: {type: bigint", "‸id: {unit: USD"), "`type`"),
    Case("missing store type", "FP-SPEC-024", f"{PLATFORM}      ‸warehouse: {{path: x}}\n", "`type`"),
    Case("number for text", "FP-SPEC-025", "kind: domain\nname: ‸5\nowner: team:a\n", "Quote it"),
    Case("norway", "FP-SPEC-025", f"{VIEW}contract: {{unique: ‸no}}\n", "`true` or `false`"),
    Case("yes", "FP-SPEC-025", f"{VIEW}contract: {{unique: ‸yes}}\n", "are text"),
    Case("quoted true", "FP-SPEC-025", f'{VIEW}contract: {{unique: "‸true"}}\n'),
    Case("capital true", "FP-SPEC-025", f"{VIEW}contract: {{unique: ‸True}}\n"),
    Case("one for true", "FP-SPEC-025", f"{VIEW}contract: {{unique: ‸1}}\n", "the number 1"),
    Case("true for a number", "FP-SPEC-025", f"{VIEW}contract: {{rows_min: ‸true}}\n", "a whole number"),
    Case("float for a whole number", "FP-SPEC-025", f"{VIEW}contract: {{rows_min: ‸1.5}}\n", "a whole number"),
    Case("quoted number", "FP-SPEC-025", f"{VIEW}contract: {{rows_min: '‸5'}}\n"),
    Case("octal", "FP-SPEC-025", f"{VIEW}contract: {{rows_min: ‸0o17}}\n", "text"),
    Case("leading zero", "FP-SPEC-025", f"{VIEW}contract: {{rows_min: ‸010}}\n", "text"),
    Case("sexagesimal", "FP-SPEC-025", f"{VIEW}contract: {{rows_min: ‸1:30}}\n", "text"),
    Case("underscores in a number", "FP-SPEC-025", f"{VIEW}contract: {{rows_min: ‸1_000}}\n", "text"),
    Case("text for a list", "FP-SPEC-025", "kind: domain\nname: a\nowner: team:a\npurposes: ‸fraud\n", "`[a, b]`"),
    Case("mapping for text", "FP-SPEC-025", "kind: domain\nname: a\nowner: ‸{team: a}\n", "a mapping"),
    Case("list for a mapping", "FP-SPEC-025", f"{VIEW}materialization: ‸[a]\n", "a mapping"),
    Case("null for text", "FP-SPEC-025", "kind: domain\nname: a\nowner:‸\n", "nothing"),
    Case("neither of a union", "FP-SPEC-025", f"{VIEW}materialization: {{online: ‸5}}\n", "a list or text"),
    Case("number for a window", "FP-SPEC-026", VIEW.replace("[1d]", "[‸30]"), "30d"),
    Case("bad window", "FP-SPEC-026", VIEW.replace("[1d]", "[1d, ‸1month]"), "'1month'"),
    Case("name in capitals", "FP-SPEC-026", "kind: domain\nname: ‸Payments\nowner: team:a\n", "lower-case"),
    Case("bad owner", "FP-SPEC-026", "kind: domain\nname: a\nowner: ‸somebody\n", "team:<name>"),
    Case("bad column name as field name", "FP-SPEC-026", "kind: source\nname: a\ntable: t\ncolumns: {‸1a: {type: int}}\n".replace("‸1a", "‸a-b")),
    Case("unknown function", "FP-SPEC-026", VIEW.replace("count,", "‸cuont,"), "Did you mean 'count'?"),
    Case("unknown classification", "FP-SPEC-026", SOURCE.replace("bigint", "bigint, pii: ‸e-mail"), "Did you mean 'email'?"),
    Case("unknown type", "FP-SPEC-026", SOURCE.replace("bigint", "‸bigit"), "Did you mean 'bigint'?"),
    Case("type of another system", "FP-SPEC-026", SOURCE.replace("bigint", "‸varchar(10)"), "Did you mean 'string'?"),
    Case("impossible decimal", "FP-SPEC-026", SOURCE.replace("bigint", '"‸decimal(39,2)"'), "38"),
    Case("unknown store type", "FP-SPEC-026", f"{PLATFORM}      w: {{type: ‸rediss}}\n", "Did you mean 'redis'?"),
    Case("secret instead of a variable", "FP-SPEC-026", f"{PLATFORM}      w: {{type: redis, url_env: ‸hunter2}}\n", "characters"),
    Case("below the least", "FP-SPEC-026", "kind: feature_service\nname: a\npurpose: b\nfeatures: ['a:b']\nversion: ‸0\n", "at least 1"),
    Case("above the most", "FP-SPEC-026", f"{VIEW}features: {{count_1d: {{null_rate_max: ‸1.5}}}}\n", "at most 1"),
    Case("empty list", "FP-SPEC-026", VIEW.replace("[1d]", "‸[]"), "empty"),
    Case("bad date", "FP-SPEC-026", f"{VIEW}materialization: {{start: ‸2026-13-01}}\n", "2026-01-31"),
    Case("date out of range", "FP-SPEC-026", f"{VIEW}materialization: {{start: ‸0001-01-01T00:00:00+14:00}}\n"),
    Case("bad schedule", "FP-SPEC-026", f"{VIEW}materialization: {{schedule: ‸daily}}\n", "cron"),
    Case("bad feature", "FP-SPEC-026", "kind: feature_service\nname: a\npurpose: b\nfeatures: [‸a.b]\n", "view:feature"),
    Case("neither table nor path", "FP-SPEC-027", "‸kind: source\nname: a\ncolumns: {id: {type: int}}\n"),
    Case("table and path", "FP-SPEC-027", f"{SOURCE}‸path: x\n", "both"),
    Case("available_at alone", "FP-SPEC-027", f"{SOURCE}‸available_at: id\n", "event_time"),
    Case("view without definition", "FP-SPEC-027", "‸kind: feature_view\nname: a\nentity: b\n", "none"),
    Case("view with two definitions", "FP-SPEC-027", f"{VIEW}sql: SELECT 1\n".replace("aggreg", "‸aggreg"), "Split"),
    Case("foreign field", "FP-SPEC-027", f"{VIEW}‸ttl: 1d\n", "`ttl` does not belong to a view with `aggregations`"),
    Case("aggregations without source", "FP-SPEC-027", VIEW.replace("source: transactions\n", "").replace("aggreg", "‸aggreg")),
    Case("sum of nothing", "FP-SPEC-027", VIEW.replace("function: count", "‸function: sum"), "`column`"),
    Case("percentile of which", "FP-SPEC-027", VIEW.replace("function: count", "‸function: percentile, column: x"), "`percentile`"),
    Case("k of a sum", "FP-SPEC-027", VIEW.replace("count,", "sum, column: x, ‸k: 3,"), "top_k"),
    Case("list of none", "FP-SPEC-026", VIEW.replace("count,", "top_k, column: x, k: ‸0,"), "at least 1"),
    Case("rate of a column", "FP-SPEC-027", VIEW.replace("count,", "rate, ‸column: x,"), "`where`"),
    Case("rate of a lifetime", "FP-SPEC-027", VIEW.replace("count, windows: [1d]", "rate, ‸windows: [all]"), "length"),
    Case("ratio to a shorter window", "FP-SPEC-027", VIEW.replace("count,", "ratio, ‸to: 1h,"), "longer"),
    Case("ratio of a lifetime", "FP-SPEC-027", VIEW.replace("count, windows: [1d]", "ratio, to: all, ‸windows: [all]"), "longer"),
    Case("lists per key", "FP-SPEC-027", VIEW.replace("count,", "top_k, column: x, k: 3, ‸group: y,"), "`mode`"),
    Case("ratio per key", "FP-SPEC-027", VIEW.replace("count,", "ratio, to: all, ‸group: y,"), "single value"),
    Case("histogram per key", "FP-SPEC-027", VIEW.replace("count,", "histogram, column: x, ‸group: y,"), "single value"),
    Case("bins of a count", "FP-SPEC-027", VIEW.replace("count,", "count, ‸bins: [1],"), "histogram"),
    Case("bins that do not ascend", "FP-SPEC-027", VIEW.replace("count,", "histogram, column: x, ‸bins: [1, 1],"), "ascend"),
    Case("keys of a number", "FP-SPEC-027", VIEW.replace("count,", "count, ‸max_keys: 5,"), "no map"),
    Case("keys besides bins", "FP-SPEC-027", VIEW.replace("count,", "histogram, column: x, bins: [1], ‸max_keys: 5,"), "as many"),
    Case("keys without bound", "FP-SPEC-026", VIEW.replace("count,", "count, group: x, max_keys: ‸5000,"), "1000"),
    Case("default of a map", "FP-SPEC-027", VIEW.replace("count,", "count, group: x, ‸default: 0,"), "no default"),
    Case("hop without tiles", "FP-SPEC-027", VIEW.replace("aggreg", "‸aggreg").replace("count,", "count, hop: 5m,"), "accuracy"),
    Case("offset of ages", "FP-SPEC-027", VIEW.replace("count,", "count, ‸offset: 99999d,"), "century"),
    Case("a window twice", "FP-SPEC-027", VIEW.replace("windows: [1d]", "‸windows: [1d, 1d]")),
    Case("derived from nothing", "FP-SPEC-027", "kind: feature_view\nname: a\nentity: b\n‸derived: [{name: c, expression: '1'}]\n"),
    Case("derived and stored", "FP-SPEC-027", "kind: feature_view\nname: a\nentity: b\ninputs: [x]\nderived: [{name: c, expression: '1'}]\n‸materialization: {}\n"),
    Case("min over max", "FP-SPEC-027", f"{VIEW}features: {{count_1d: {{‸min: 2, max: 1}}}}\n"),
    Case("rows_min over rows_max", "FP-SPEC-027", f"{VIEW}contract: {{‸rows_min: 2, rows_max: 1}}\n"),
    Case("online store twice", "FP-SPEC-027", f"{VIEW}materialization: {{‸online: [redis, redis]}}\n"),
    Case("an embedded cluster", "FP-SPEC-027", f"{PLATFORM}      w: {{type: redis, ‸mode: cluster}}\n", "url_env"),
    Case("sentinels of what", "FP-SPEC-027", f"{PLATFORM}      w: {{type: redis, url_env: A, ‸mode: sentinel}}\n", "the master"),
    Case("groups that are no power of two", "FP-SPEC-027", f"{PLATFORM}      w: {{type: redis, ‸groups: 100}}\n", "64 or 256"),
    Case("no such default profile", "FP-SPEC-027", f"{PLATFORM}      w: {{type: redis}}\n‸default_profile: embeded\n", "Did you mean 'embedded'?"),
)  # fmt: skip

JSON_CASES = (
    Case("trailing comma in braces", "FP-SPEC-008", '{"kind": "domain", ‸}', "comma"),
    Case("trailing comma in brackets", "FP-SPEC-008", '{"kind": ["a", ‸]}'),
    Case("missing comma", "FP-SPEC-008", '{"kind": "domain" ‸"name": "a"}', "`,`"),
    Case("missing colon", "FP-SPEC-008", '{"kind" ‸"domain"}', "`:`"),
    Case("missing value", "FP-SPEC-008", '{"kind": ‸}'),
    Case("comment", "FP-SPEC-008", '{‸// a domain\n"kind": "domain"}', "comment"),
    Case("single quotes", "FP-SPEC-008", "{‸'kind': 'domain'}", "double quotes"),
    Case("unclosed text", "FP-SPEC-008", '{"kind": ‸"domain}', "quotation mark"),
    Case("line break in text", "FP-SPEC-008", '{"kind": ‸"do\nmain"}'),
    Case("file ends early", "FP-SPEC-008", '{"kind": "domain"‸', "ends too early"),
    Case("text behind", "FP-SPEC-008", '{"kind": "domain"}\n‸{"kind": "domain"}', "list"),
    Case("bare word", "FP-SPEC-008", '{"kind": ‸domain}'),
    Case("python constant", "FP-SPEC-008", '{"kind": ‸NaN}'),
    Case("leading zero", "FP-SPEC-008", '{"kind": ‸010}'),
    Case("duplicate field", "FP-SPEC-011", '{"kind": "domain",\n "name": "a", "owner": "team:a",\n ‸"name": "b"}', "line 2"),
    Case("too deep", "FP-SPEC-016", '{"kind": ' + "[" * 19 + "‸[" + "[" * 1000),
    Case("too many digits", "FP-SPEC-017", '{"kind": "domain", "name": "a", "owner": ‸' + "9" * 5000 + "}"),
    Case("infinite number", "FP-SPEC-017", '{"kind": "domain", "name": "a", "owner": ‸-1e999}'),
    Case("escaped NUL", "FP-SPEC-006", '{"kind": "domain", "name": "a", "owner": ‸"\\u0000"}'),
    Case("half a surrogate pair", "FP-SPEC-006", '{"kind": "domain", "name": "a", "owner": ‸"\\ud800"}'),
    Case("wrong type", "FP-SPEC-025", '[{"kind": "domain",\n\t"name": ‸5, "owner": "team:a"}]'),
    Case("wrong value", "FP-SPEC-026", '{"kind": "domain", "name": "‸A", "owner": "team:a"}'),
    Case("a number in the list", "FP-SPEC-020", '[{"kind": "domain", "name": "a", "owner": "team:a"}, ‸5]'),
)  # fmt: skip


def _names(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", YAML_CASES, ids=_names)
def test_a_broken_yaml_document_is_refused_at_the_place_of_its_fault(case: Case) -> None:
    _check(case)


@pytest.mark.parametrize("case", JSON_CASES, ids=_names)
def test_a_broken_json_document_is_refused_at_the_place_of_its_fault(case: Case) -> None:
    _check(case._replace(file="payments/document.json"))


def _check(case: Case) -> None:
    before, mark, after = case.text.partition(MARK)
    assert mark, "the case does not say where"
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    report = parse((before + after).encode(), case.file)
    found = [(problem.code, str(problem.where)) for problem in report.problems]
    assert (case.code, f"{case.file}:{line}:{column}") in found
    problem = report.problems[found.index((case.code, f"{case.file}:{line}:{column}"))]
    assert case.says in f"{problem.what} {problem.mend}"
    assert problem.mend
    assert len(found) == 1, f"noise: {found}"


def test_no_message_speaks_pydantic_or_python() -> None:
    texts = " ".join(
        f"{problem.what} {problem.mend}"
        for case in YAML_CASES
        for problem in parse(case.text.replace(MARK, "").encode(), case.file).problems
    )
    for word in (
        "extra_forbidden",
        "_type",
        "Input should",
        "NoneType",
        "tuple",
        "dict",
        "str ",
        "isoformat",
        "pattern",
    ):
        assert word not in texts


def test_a_pasted_secret_is_not_repeated() -> None:
    texts = PLATFORM + "      w: {type: postgres, url_env: 'postgresql://me:hunter2@db/x'}\n"
    assert "hunter2" not in str(parse(texts.encode(), "platform.yaml").problems)
