"""The newest row of a view for each spine row, on DuckDB: every spine row asks for itself.

Which plan is cheaper depends on how often the spine asks about one entity:

* *Sparse* spines ask about most entities once or twice. They are joined with all older rows of their entities, the
  newest time wins, and features are read for the winners only, by their place in the view (``rowid``): nothing is
  sorted, and a view streams past a table of the spine's rows. The number of pairs is bounded by :data:`SPARSE_MOST`
  times the view's rows.
* *Dense* are all others. They are sorted once, spine and rows by entity and time, and merged (ASOF): linear but for the
  sort, however often an entity or a moment occurs. Rows of other entities, and rows that are older than the ttl lets
  anybody see, fall out first; where hardly any would, nothing is looked for and the view is merged *whole*.

Where the spine is a table before the statement runs, :func:`spine_measure` says which it is, and one plan is all that
there is in the statement. Else the statement holds both and measures the spine itself; the plan that is not taken gets
no rows, but its tables are opened for nothing.
``docs/adr/0022-plans-of-point-in-time-joins.md`` has the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from feature_platform.compiler.fragments import (
    NOTHING,
    Relation,
    Sql,
    aliased,
    all_of,
    ascending,
    column,
    duration,
    listed,
    name,
    quoted,
    sql,
    their_column,
    union_all,
)
from feature_platform.compiler.plan import CompiledView
from feature_platform.compiler.query_times import GIVEN_SPINE, SPINE
from feature_platform.specs.models import FeatureView

Form = Literal["sparse", "dense", "whole", "measured"]
"""Which plans a statement holds: one of the three, or the first two."""

SPARSE_MOST: int = 16
"""A spine that asks more often than this about any entity is not sparse."""
SPARSE_MEAN: int = 3
"""Nor is one that asks on average more often than this about an entity."""
WHOLE_LEAST: Final = 0.8
"""A view is merged whole if at least this share of its rows would be kept: to find the others costs a fifth of it."""
_LOOKED_AT: Final = 64
"""One in so many entities is looked at to estimate that share."""
_PLACE: Final = "rowid"
"""What tells the rows of a view apart: ``Query.row_ids`` asks stores for it."""
MERGED_COLUMNS: Final = 16
"""Views are merged one after the other while their features are not more than this: each merge sorts the features of
those before it again, and that must not grow with the number of views.
"""


@dataclass(frozen=True, slots=True)
class Rows:
    """What is wanted of one view."""

    view: CompiledView
    spec: FeatureView
    features: tuple[str, ...]

    @property
    def ties(self) -> list[str]:
        """What decides between rows of equal times: nothing where (key, event time) is unique by contract, else all
        features, whichever are asked for.
        """
        return [] if self.spec.contract.unique else [each.name for each in self.view.features]

    @property
    def late(self) -> bool:
        """Whether a row can become known after another one that is newer, or tie with it."""
        return self.spec.available_at is not None or not self.spec.contract.unique

    def column(self, feature: str) -> Sql:
        """The name of a feature in the answers."""
        return quoted(f"{self.view.name}__{feature}")


@dataclass(frozen=True, slots=True)
class Asked:
    """Views that are looked up together: of one entity, with few enough columns to be sorted together."""

    number: int
    spine_keys: tuple[str, ...]
    views: tuple[Rows, ...]

    @property
    def answers(self) -> str:
        """Relation of the answers: every spine row once as ``fp_row``, and each view's features."""
        return f"{self.prefix}_answers"

    @property
    def may_be_sparse(self) -> bool:
        """Whether the sparse plan can answer: it needs rows that an entity and a time tell apart, and that no column
        takes the engine's name for a row's place.
        """
        return not any(rows.ties or _PLACE in map(str.lower, rows.view.schema.names) for rows in self.views)

    @property
    def plain(self) -> tuple[Rows, ...]:
        """The views whose rows can be merged as they lie: each row is the newest from its own time on."""
        return tuple(rows for rows in self.views if not rows.late)

    @property
    def prefix(self) -> str:
        return f"fp_ask{self.number}"

    @property
    def keys(self) -> list[str]:
        return [f"fp_k{index}" for index in range(len(self.spine_keys))]

    def named(self, relation: str) -> Sql:
        return name(f"{self.prefix}_{relation}")


def asked_together(views: Iterable[Rows]) -> list[Asked]:
    """Groups of views of one entity that are looked up together."""
    groups: list[Asked] = []
    for rows in views:
        keys = tuple(key.name for key in rows.view.keys)
        for number, group in enumerate(groups):
            together = replace(group, views=(*group.views, rows))
            width = sum(len(each.features) for each in together.views)
            if keys == group.spine_keys and not rows.ties and group.may_be_sparse and width <= MERGED_COLUMNS:
                groups[number] = together
                break
        else:
            groups.append(Asked(len(groups), keys, (rows,)))
    return groups


def newest_row_answers(asked: Asked, form: Form) -> list[Relation]:
    """Relations that end in the answers of ``asked``; a spine row without a row of a view has NULL there. They are the
    same rows in each form; what can't be sparse is dense in all.
    """
    if not asked.may_be_sparse or (form == "whole" and not asked.plain):
        form = "dense"
    relations = _spine_relations(asked, form)
    answers: list[Sql] = []
    if form != "sparse":
        merged, of_merge = _merged(asked, form)
        relations += merged
        answers = [of_merge]
    if form in ("sparse", "measured"):
        paired, of_pairs = _paired(asked)
        relations += paired
        answers = [of_pairs, *answers]
    return [*relations, Relation(asked.answers, union_all(answers))]


def choice_in_words() -> str:
    """The rule, for people."""
    often = f"{SPARSE_MEAN} times about an entity on average and {SPARSE_MOST} times about any"
    kept = f"without rows that nobody asks for unless {WHOLE_LEAST:.0%} are asked for"
    return f"pairs if the spine asks at most {often}, else spine and rows are sorted and merged, {kept}"


@dataclass(frozen=True, slots=True)
class Measures:
    """How the cheapest form of a statement is found."""

    queries: tuple[Sql, ...]
    """Over ``inputs.spine`` and the views. Each gives one row and column: a form, or NULL if the next has to tell."""
    forms: tuple[Form, ...]
    """Those that they may name."""


def spine_measures(groups: Iterable[Asked], time: str) -> Measures | None:
    """How the cheapest form is found for a spine whose time column is ``time``; None if one form is all.

    Of groups with different entities some may be sparse and others not, then it is ``measured``: that decides for each.
    Views are looked into only for spines of which none is sparse.
    """
    groups = list(groups)
    entities = dict.fromkeys(group.spine_keys for group in groups if group.may_be_sparse)
    if not entities:
        return None
    whole = [group for group in groups if group.plain]
    first = sql(
        """SELECT CASE WHEN BOOL_AND(fp_sparse) THEN 'sparse' WHEN BOOL_OR(fp_sparse) THEN 'measured' ELSE :other END
           FROM (:judged) AS j""",
        judged=union_all(_judged_keys(keys, time) for keys in entities),
        other=sql("NULL") if whole else sql("'dense'"),
    )
    forms: tuple[Form, ...] = ("sparse", "dense") if len(entities) == 1 else ("sparse", "dense", "measured")
    return Measures((first, _whole_measure(whole, time)), (*forms, "whole")) if whole else Measures((first,), forms)


def _whole_measure(groups: Iterable[Asked], time: str) -> Sql:
    """``whole`` or ``dense``, by the share of rows that would be kept, estimated from a sample of the entities."""
    return sql(
        """SELECT CASE WHEN SUM(j.fp_kept) >= :least * SUM(j.fp_rows) THEN 'whole' ELSE 'dense' END
           FROM (:kept) AS j""",
        least=Sql(str(WHOLE_LEAST)),
        kept=union_all(_kept_of(rows, group, time) for group in groups for rows in group.plain),
    )


def _kept_of(rows: Rows, asked: Asked, time: str) -> Sql:
    """Of the rows of some entities, how many there are and how many some question can see."""
    keys, at = [their_column(of, "s") for of in asked.spine_keys], their_column(time, "s")
    named = [aliased(of, name(key)) for of, key in zip(keys, asked.keys, strict=True)]
    kept = sql("e.fp_oldest IS NOT NULL")
    if rows.spec.ttl is not None:
        kept = sql("v.event_time >= e.fp_oldest - :ttl", ttl=duration(rows.spec.ttl.microseconds))
    return sql(
        """SELECT COUNT(*) AS fp_rows, COUNT(*) FILTER (:kept) AS fp_kept FROM "features".:view AS v LEFT JOIN (
             SELECT :named, MIN(:at) AS fp_oldest FROM :spine AS s WHERE :given GROUP BY ALL) AS e ON :same
           WHERE HASH(:of_view) % :looked_at = 0""",
        kept=kept,
        view=quoted(rows.view.name),
        named=listed(*named),
        at=at,
        spine=GIVEN_SPINE,
        given=_given([*keys, at]),
        same=_same_as_view(rows, asked, "e"),
        of_view=listed(*(their_column(key.name, "v") for key in rows.view.keys)),
        looked_at=Sql(str(_LOOKED_AT)),
    )


def _judged_keys(keys: Sequence[str], time: str) -> Sql:
    named = [their_column(key, "s") for key in keys]
    entities = sql(
        "SELECT COUNT(*) AS fp_rows FROM :spine AS s WHERE :given GROUP BY :keys",
        spine=GIVEN_SPINE,
        given=_given([*named, their_column(time, "s")]),
        keys=listed(*named),
    )
    return _judged(sql("(:entities)", entities=entities))


def _judged(entities: Sql) -> Sql:
    """Whether a spine is sparse that asks ``fp_rows`` times about each of ``entities``; one without rows is not."""
    return sql(
        """SELECT COUNT(*) > 0 AND MAX(e.fp_rows) <= :most AND SUM(e.fp_rows) <= :mean * COUNT(*) AS fp_sparse
           FROM :entities AS e""",
        most=Sql(str(SPARSE_MOST)),
        mean=Sql(str(SPARSE_MEAN)),
        entities=entities,
    )


def _given(columns: Iterable[Sql]) -> Sql:
    return all_of(*(sql(":column IS NOT NULL", column=each) for each in columns))


def _spine_relations(asked: Asked, form: Form) -> list[Relation]:
    """``sparse``: rows with keys. ``dense``: rows with ``fp_entity``, the number of the entity among
    ``dense_entities``, which have keys as ``fp_k0 …`` and the oldest time ``fp_oldest``. Where ``form`` has both, the
    first is empty or the others are.
    """
    keys = [their_column(of, "s") for of in asked.spine_keys]
    parts = {
        "spine": name(SPINE),
        "named": listed(*(aliased(of, name(key)) for of, key in zip(keys, asked.keys, strict=True))),
        "given": _given([*keys, Sql("s.fp_q")]),
        "counted": sql(", COUNT(*) AS fp_rows") if form == "measured" else NOTHING,
        "dense_entities": asked.named("dense_entities"),
        "same": all_of(*(Sql(f"{of} = {column(key, 'e')}") for of, key in zip(keys, asked.keys, strict=True))),
    }
    entities = sql(
        """SELECT g.*, ROW_NUMBER() OVER () AS fp_entity FROM (
             SELECT :named, MIN(s.fp_q) AS fp_oldest:counted
             FROM :spine AS s WHERE :given GROUP BY ALL) AS g""",
        **parts,
    )
    sparse = sql("SELECT s.fp_row, :named, s.fp_q FROM :spine AS s", **parts)
    dense = sql(
        "SELECT s.fp_row, e.fp_entity:own, s.fp_q FROM :spine AS s LEFT JOIN :dense_entities AS e ON :same",
        own=sql(", :named", **parts) if form == "whole" else NOTHING,
        **parts,
    )
    # The spine's own rows are read where they lie: a copy of them costs a tenth of the whole.
    if form == "sparse":
        return [Relation(asked.named("sparse"), sparse, stored=False)]
    if form == "whole" and asked.plain == asked.views:
        return [Relation(asked.named("dense"), sparse, stored=False)]
    if form in ("dense", "whole"):
        return [
            Relation(asked.named("dense_entities"), entities, stored=True),
            Relation(asked.named("dense"), dense, stored=False),
        ]
    if_sparse = sql(" WHERE (SELECT fp_sparse FROM :is_sparse)", is_sparse=asked.named("is_sparse"))
    if_dense = sql(" WHERE NOT (SELECT fp_sparse FROM :is_sparse)", is_sparse=asked.named("is_sparse"))
    dense_entities = sql("SELECT e.* FROM :entities AS e:only", entities=asked.named("entities"), only=if_dense)
    return [
        Relation(asked.named("entities"), entities, stored=True),
        Relation(asked.named("is_sparse"), _judged(asked.named("entities")), stored=True),
        Relation(asked.named("sparse"), Sql(sparse + if_sparse), stored=False),
        Relation(asked.named("dense_entities"), dense_entities, stored=True),
        Relation(asked.named("dense"), Sql(dense + if_dense), stored=False),
    ]


def _paired(asked: Asked) -> tuple[list[Relation], Sql]:
    """Winners per view, and the answers of a sparse spine."""
    relations: list[Relation] = []
    found: list[Sql] = []
    joins = NOTHING
    for number, rows in enumerate(asked.views):
        fresh = NOTHING
        if rows.spec.ttl is not None:
            fresh = sql(" AND v.event_time >= p.fp_q - :ttl", ttl=duration(rows.spec.ttl.microseconds))
        at = f"w{number}"
        parts = {
            "view": quoted(rows.view.name),
            "sparse": asked.named("sparse"),
            "same": _same_as_view(rows, asked, "p"),
            "known": NOTHING if rows.spec.available_at is None else sql(" AND v.available_at <= p.fp_q"),
            "fresh": fresh,
            "found": listed(*(their_column(each, "v") for each in rows.features)),
            "place": Sql(f"v.{_PLACE}"),
            "winners": asked.named(f"winners{number}"),
            "at": name(at),
            "joins": joins,
        }
        winners = """SELECT p.fp_row, ARG_MAX(:place, v.event_time) AS fp_place FROM "features".:view AS v JOIN :sparse AS p
            ON :same AND v.event_time <= p.fp_q:known:fresh GROUP BY p.fp_row"""
        joined = """:joins LEFT JOIN (SELECT w.fp_row, :found FROM "features".:view AS v
            JOIN :winners AS w ON w.fp_place = :place) AS :at ON :at.fp_row = p.fp_row"""
        relations.append(Relation(parts["winners"], sql(winners, **parts), stored=True))
        joins = sql(joined, **parts)
        found += [aliased(their_column(each, at), rows.column(each)) for each in rows.features]
    answers = sql(
        "SELECT p.fp_row, :found FROM :sparse AS p:joins",
        found=listed(*found),
        sparse=asked.named("sparse"),
        joins=joins,
    )
    return relations, answers


def _merged(asked: Asked, form: Form) -> tuple[list[Relation], Sql]:
    """Rows per view, and the answers of a spine that is not sparse."""
    relations: list[Relation] = []
    found: list[Sql] = []
    joins = NOTHING
    for number, rows in enumerate(asked.views):
        at = f"r{number}"
        if form == "whole" and not rows.late:
            when = since = their_column("event_time", at)
            records, same = sql('"features".:view', view=quoted(rows.view.name)), _same_as_view(rows, asked, "p", at)
        else:
            relations += _visible_rows(rows, number, asked)
            when, since = Sql(f"{at}.fp_t"), Sql(f"{at}.fp_e")
            records, same = name(relations[-1].name), Sql(f"p.fp_entity = {at}.fp_entity")
        joins = sql(
            ":joins ASOF LEFT JOIN :records AS :at ON :same AND p.fp_q >= :since",
            joins=joins,
            records=records,
            at=name(at),
            same=same,
            since=since,
        )
        for feature in rows.features:
            value = their_column(feature, at)
            if rows.spec.ttl is not None:
                ttl = duration(rows.spec.ttl.microseconds)
                value = sql("CASE WHEN :when + :ttl >= p.fp_q THEN :value END", when=when, ttl=ttl, value=value)
            found.append(aliased(value, rows.column(feature)))
    answers = sql(
        "SELECT p.fp_row, :found FROM :dense AS p:joins", found=listed(*found), dense=asked.named("dense"), joins=joins
    )
    return relations, answers


def _visible_rows(rows: Rows, number: int, asked: Asked) -> list[Relation]:
    """Rows of the spine's entities that replace each other: from ``fp_e`` on, and until the next, each is the newest.

    What arrives and is older than what was there already never wins, and is left out.
    """
    fresh = NOTHING
    entities = asked.named("dense_entities")
    if rows.spec.ttl is not None:
        # Only this end is looked at: spines are about the past few months more often than about those long ago.
        fresh = sql(" AND v.event_time >= e.fp_from")
        entities = sql(
            "(SELECT d.fp_entity, :keys, d.fp_oldest - :ttl AS fp_from FROM :entities AS d)",
            keys=listed(*(column(key, "d") for key in asked.keys)),
            ttl=duration(rows.spec.ttl.microseconds),
            entities=entities,
        )
    visible = asked.named(f"rows{number}")
    parts = {
        "view": quoted(rows.view.name),
        "entities": entities,
        "same": _same_as_view(rows, asked, "e"),
        "late": sql(", v.available_at AS fp_a, GREATEST(v.event_time, v.available_at) AS fp_e")
        if rows.late
        else sql(", v.event_time AS fp_e"),
        "known": sql(" AND v.available_at IS NOT NULL") if rows.late else NOTHING,
        "fresh": fresh,
        "read": listed(*(their_column(each, "v") for each in dict.fromkeys([*rows.features, *rows.ties]))),
        "kept": listed(*(their_column(each, "l") for each in rows.features)),
        "order": ascending([Sql("r.fp_t"), Sql("r.fp_a"), *(their_column(each, "r") for each in rows.ties)]),
        "rows": visible,
    }
    read = """SELECT e.fp_entity, v.event_time AS fp_t:late, :read FROM "features".:view AS v JOIN :entities AS e
        ON :same AND v.event_time IS NOT NULL:known:fresh"""
    records = """SELECT l.fp_entity, l.fp_t, l.fp_e, :kept FROM (
          SELECT r.*, MAX(r.fp_t) OVER (PARTITION BY r.fp_entity ORDER BY r.fp_e) AS fp_leader FROM :rows AS r) AS l
        WHERE l.fp_t = l.fp_leader"""
    if rows.ties:
        records = """SELECT l.fp_entity, l.fp_t, l.fp_e, :kept FROM (
              SELECT k.*, MAX(k.fp_rank) OVER (PARTITION BY k.fp_entity ORDER BY k.fp_e) AS fp_leader FROM (
                SELECT r.*, ROW_NUMBER() OVER (PARTITION BY r.fp_entity :order) AS fp_rank FROM :rows AS r) AS k) AS l
            WHERE l.fp_rank = l.fp_leader"""
    relations = [Relation(visible, sql(read, **parts))]
    if rows.late:
        relations.append(Relation(asked.named(f"records{number}"), sql(records, **parts)))
    return relations


def _same_as_view(rows: Rows, asked: Asked, other: str, view: str = "v") -> Sql:
    pairs = zip(rows.view.keys, asked.keys, strict=True)
    return all_of(*(Sql(f"{their_column(key.name, view)} = {column(own, other)}") for key, own in pairs))
