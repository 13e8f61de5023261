"""Computes derived features for online requests, by the same compiled SQL that training sets use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp, parse_one

from feature_platform.compiler.plan import CompiledView
from feature_platform.errors import StoreError
from feature_platform.stores.codes import QUERY_FAILED
from feature_platform.stores.duckdb_closed import connect_closed
from feature_platform.types import BIGINT, DataType, array, struct

if TYPE_CHECKING:
    import duckdb

ROW: Final = "fp_row"
"""Column that numbers the rows; the answer is in its order."""


class Deriver:
    """An engine in this process that sees the values it is given and nothing else. Safe for use by several threads.

    Its connection stays open and values go in as parameters, so that a request costs about a millisecond.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._statements: dict[str, str] = {}

    def features(
        self, view: CompiledView, types: Mapping[str, DataType], columns: Mapping[str, Sequence[Any]]
    ) -> dict[str, list[Any]]:
        """The view's features, each with one value per row, in the rows' order.

        Args:
            view: a derived view.
            types: of every request column and of every input ``<view>__<feature>``.
            columns: their values, equally many of each.

        Raises:
            StoreError: the engine could not compute an expression, e.g. a number became too large.
        """
        import duckdb

        rows = len(next(iter(columns.values()), ()))
        values = [list(range(rows)), *(_sent(columns[name], kind) for name, kind in types.items())]
        parameters = {_parameter(place): listed for place, listed in enumerate(values)}
        with self._lock:
            try:
                answer = self._open().execute(self._statement(view, types), parameters).fetchall()
            except duckdb.Error as error:
                # the engine's own message may quote a value
                raise StoreError(
                    QUERY_FAILED.problem(
                        f"derived features of view '{view.name}' could not be computed ({type(error).__name__})",
                        mend="look for divisions, casts or sums in its expressions that some input can't survive",
                    )
                ) from None
        names = [feature.name for feature in view.features]
        return {name: [row[place] for row in answer] for place, name in enumerate(names)}

    def close(self) -> None:
        """Gives the engine's memory back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _statement(self, view: CompiledView, types: Mapping[str, DataType]) -> str:
        """The compiled SQL with the table of inputs made of parameters."""
        if view.fingerprint not in self._statements:
            assert view.derive is not None, f"{view.name} is not derived"
            computed = parse_one(view.derive.sql["duckdb"], dialect="duckdb")
            for table in list(computed.find_all(exp.Table)):
                if table.db == "inputs":
                    table.replace(_inputs(types, table.alias_or_name))
            features = [exp.column(feature.name, quoted=True) for feature in view.features]
            statement = exp.select(*features).from_(computed.subquery("derived")).order_by(exp.column(ROW))  # type: ignore[attr-defined]
            self._statements[view.fingerprint] = statement.sql(dialect="duckdb")
        return self._statements[view.fingerprint]

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = connect_closed()
        return self._connection


def _inputs(types: Mapping[str, DataType], alias: str) -> exp.Subquery:
    """A row per place of the parameters: lists of one length, side by side."""
    columns = {ROW: BIGINT} | dict(types)
    listed = []
    for place, (name, kind) in enumerate(columns.items()):
        sent = array(struct(("key", kind.key), ("value", kind.element))) if kind.key and kind.element else kind
        values = exp.cast(exp.Parameter(this=exp.var(_parameter(place))), f"{sent.sql('duckdb')}[]", dialect="duckdb")
        value: exp.Expr = exp.Explode(this=values)
        if kind.key:
            value = exp.func("map_from_entries", value, dialect="duckdb")
        listed.append(exp.alias_(value, name, quoted=True))
    return exp.select(*listed).subquery(alias)


def _sent(values: Sequence[Any], kind: DataType) -> list[Any]:
    """Values as the driver takes them. A dictionary is a struct to it, so maps go as lists of pairs."""
    if kind.kind != "map":
        return list(values)
    return [None if each is None else [{"key": key, "value": value} for key, value in each.items()] for each in values]


def _parameter(place: int) -> str:
    return f"p{place}"
