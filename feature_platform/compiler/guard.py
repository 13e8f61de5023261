"""The only entry for SQL of a user's making: text or tree → a guarded, typed query with lineage, or every reason why
not.

Small passes, a module each, tree in and tree out:

1. :mod:`parse`: exactly one query;
2. :mod:`constructs`: only listed constructs and functions; :mod:`round_trip`: what is written out reads back the same;
   :mod:`spellings`: many spellings, few nodes;
3. :mod:`resolve`: names to declared tables and columns, stars to columns; :mod:`unqualify`: no QUALIFY;
4. :mod:`scan`: every table becomes a guarded subquery;
5. :mod:`lineage`: labels, DIRECT and INDIRECT columns, refusal of misused tokens; :mod:`combinations`: forms of one
   value that tell too much together;
6. :mod:`infer`: types, and the casts that make them exact;
7. :mod:`engines`: which engines have all of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from feature_platform.compiler.catalog import Catalog
from feature_platform.compiler.codes import SYNTAX
from feature_platform.compiler.combinations import check_combinations
from feature_platform.compiler.constructs import check_constructs
from feature_platform.compiler.distinct_on import keep_first
from feature_platform.compiler.engines import lacking
from feature_platform.compiler.flows import settled
from feature_platform.compiler.infer import infer_types
from feature_platform.compiler.lineage import trace
from feature_platform.compiler.named_windows import inline_windows
from feature_platform.compiler.parse import Parsed, Places, parse_query
from feature_platform.compiler.plan import AppliedRule, CompiledQuery, OutputColumn
from feature_platform.compiler.render import render
from feature_platform.compiler.report import Report
from feature_platform.compiler.resolve import resolve
from feature_platform.compiler.round_trip import check_round_trip
from feature_platform.compiler.scan import guard_scans
from feature_platform.compiler.spellings import normalize_spellings
from feature_platform.compiler.unqualify import unqualify
from feature_platform.errors import GuardError, Location, Problem
from feature_platform.governance.access import Access
from feature_platform.governance.labels import CLEAN, Labels
from feature_platform.registry.graph import TableRef
from feature_platform.types import ENGINES, Engine


@dataclass(frozen=True)
class GuardedQuery:
    """A query that reads guarded scans only, and what there is to say about it."""

    tree: exp.Query
    """Engine-neutral. It is not to be changed: copy it first."""
    columns: tuple[OutputColumn, ...]
    """What it gives: name, type, labels, DIRECT and INDIRECT lineage, transforms on the way."""
    reads: tuple[TableRef, ...]
    """Sources and views that it reads, sorted."""
    rules: tuple[AppliedRule, ...] = ()
    """The policy rules by which it has what it has, column by column, sorted; those of columns that only decide about
    rows included."""

    transforms: frozenset[str] = frozenset()
    """Governed transforms that it applies to raw values anywhere, also where only rows are decided."""
    forms: Labels = CLEAN
    """Partial forms of personal values that it reads, also those that only decide about rows."""
    lacking: Mapping[Engine, tuple[Problem, ...]] = field(default_factory=dict)
    """What keeps the query from running, by engine that lacks something. Of Doris it shows when its text is made."""
    places: Places | None = None
    """Where nodes stand in the author's text."""

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines that can run the query: at least one."""
        return tuple(engine for engine in ENGINES if engine not in self.lacking)

    def sql(self, engine: Engine, *, pretty: bool = False) -> str:
        """The text for ``engine``.

        Raises:
            GuardError: the engine lacks a construct or function of the query.
        """
        if engine in self.lacking:
            raise GuardError(self.lacking[engine])
        return render(self.tree, engine, pretty=pretty, places=self.places)

    def compiled(self, engine: Engine | None = None) -> CompiledQuery:
        """The query for ``engine``, by default for every one of :data:`ENGINES` that can run it."""
        sql = {each: self.sql(each) for each in ([engine] if engine else self.engines)}
        return CompiledQuery(sql, self.columns, self.reads, rules=self.rules)


def guard(
    query: str | exp.Query,
    catalog: Catalog,
    access: Access,
    *,
    where: Location | None = None,
    engines: Collection[Engine] = (),
) -> GuardedQuery:
    """Guards a query of a user, or one that the platform built from a user's words: views, derived features,
    conditions of aggregations, training sets, ad-hoc queries and checks all come through here.

    ``catalog`` says what there is to read, ``access`` who asks, why, where, and which policies hold. ``engines`` are
    those that it has to run on; without any, one will do. ``where`` is the place of the text's first character;
    problems are placed from there on. Of a tree every problem stands at ``where``.

    Raises:
        GuardError: with all problems of the first pass that found some.
    """
    parsed = parse_query(query, where=where) if isinstance(query, str) else Parsed(query.copy(), Places(None, where))
    try:
        guarded = _guarded(parsed, catalog, access, written=isinstance(query, str))
    except RecursionError:
        problem = SYNTAX.problem("the SQL is nested too deeply", mend="split it into CTEs", where=where)
        raise GuardError(problem) from None
    wanted = engines or (ENGINES if not guarded.engines else ())
    problems = [problem for engine in wanted for problem in guarded.lacking.get(engine, ())]
    if problems:
        raise GuardError(problems)
    return guarded


def _guarded(parsed: Parsed, catalog: Catalog, access: Access, *, written: bool) -> GuardedQuery:
    report = Report(parsed.places)
    check_constructs(parsed.tree, report)
    report.raise_if_any()
    if written:
        check_round_trip(parsed.tree, report)
        report.raise_if_any()
    normalize_spellings(parsed.tree, report)
    report.raise_if_any()
    inline_windows(parsed.tree, report)
    state = resolve(parsed.tree, catalog, report)
    report.raise_if_any()
    tree = keep_first(unqualify(parsed.tree, state), state)
    scans = guard_scans(tree, state, access)
    report.raise_if_any()
    flows = trace(tree, scans, report)
    check_combinations(tree, scans, flows, access, report)
    types = infer_types(tree, scans, report)
    report.raise_if_any()
    columns = []
    for name, type_ in types.items():
        flow = settled(flows.columns[name], flows.path)
        columns.append(OutputColumn(name, type_, flow.labels, flow.direct, flow.indirect, flow.transforms))
    reads = sorted({scan.table.ref for scan in scans.values()})
    opened = [column for scan in scans.values() for column in scan.columns.values()]
    rules = sorted({rule for column in opened for rule in column.rules})
    transforms = frozenset(name for column in opened for name in column.transforms)
    forms = frozenset(label for column in opened for label in column.labels if label.kind == "partial")
    limits = lacking(tree, parsed.places)
    return GuardedQuery(tree, tuple(columns), tuple(reads), tuple(rules), transforms, forms, limits, parsed.places)
