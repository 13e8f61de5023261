"""The newest row of a view for each spine row, on DuckDB: every spine row asks for itself.

Which plan is cheaper depends on how often the spine asks about one entity:

* *Sparse* spines ask about most entities once or twice. They are joined with all older rows of their entities, the
  newest time wins, and features are read for the winners only, by their place in the view (``rowid``): nothing is
  sorted, and a view streams past a table of the spine's rows. The number of pairs is bounded by
  :data:`~feature_platform.compiler.spine_measures.SPARSE_MOST` times the view's rows.
* *Dense* are all others. They are sorted once, spine and rows by entity and time, and merged (ASOF): linear but for the
  sort, however often an entity or a moment occurs. Rows of other entities, and rows that are older than the ttl lets
  anybody see, fall out first; where hardly any would, nothing is looked for and the view is merged *whole*.

Where the spine is a table before the statement runs, :mod:`~feature_platform.compiler.spine_measures` says which it is,
and one plan is all that there is in the statement. Else the statement holds both and measures the spine itself; the
plan that is not taken gets no rows, but its tables are opened for nothing.
``docs/adr/0022-plans-of-point-in-time-joins.md`` has the figures.
"""

from __future__ import annotations

from feature_platform.compiler.asked_views import PLACE, Asked, Rows, given, same_as_view
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
from feature_platform.compiler.query_times import SPINE
from feature_platform.compiler.spine_measures import Form, judged


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


def _spine_relations(asked: Asked, form: Form) -> list[Relation]:
    """``sparse``: rows with keys. ``dense``: rows with ``fp_entity``, the number of the entity among
    ``dense_entities``, which have keys as ``fp_k0 …`` and the oldest time ``fp_oldest``. Where ``form`` has both, the
    first is empty or the others are.
    """
    keys = [their_column(of, "s") for of in asked.spine_keys]
    parts = {
        "spine": name(SPINE),
        "named": listed(*(aliased(of, name(key)) for of, key in zip(keys, asked.keys, strict=True))),
        "given": given([*keys, Sql("s.fp_q")]),
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
        Relation(asked.named("is_sparse"), judged(asked.named("entities")), stored=True),
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
            "same": same_as_view(rows, asked, "p"),
            "known": NOTHING if rows.spec.available_at is None else sql(" AND v.available_at <= p.fp_q"),
            "fresh": fresh,
            "found": listed(*(their_column(each, "v") for each in rows.features)),
            "place": Sql(f"v.{PLACE}"),
            "newest": rows.newest,
            "winners": asked.named(f"winners{number}"),
            "at": name(at),
            "joins": joins,
        }
        winners = """SELECT p.fp_row, ARG_MAX(:place, :newest) AS fp_place
            FROM "features".:view AS v JOIN :sparse AS p
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
            records, same = sql('"features".:view', view=quoted(rows.view.name)), same_as_view(rows, asked, "p", at)
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
        "same": same_as_view(rows, asked, "e"),
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
