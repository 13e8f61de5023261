"""Computes derived features: the same compiled SQL for a batch of a training set and for one online request."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from feature_platform.compiler.plan import CompiledView
from feature_platform.errors import StoreError
from feature_platform.stores.codes import QUERY_FAILED

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROW: Final = "fp_row"
"""Column that numbers the rows; the answer is in its order."""
_INPUT: Final = "fp_rows"


class Deriver:
    """An engine in this process that sees the rows it is given and nothing else. Safe for use by several threads.

    Its connection stays open, so one request costs about a millisecond.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def features(self, view: CompiledView, rows: pa.Table) -> pa.Table:
        """The view's features for ``rows``, one row per row in the same order.

        ``rows`` has the request's columns and ``<view>__<feature>`` of every input; a column ``fp_row`` is added.

        Raises:
            StoreError: the engine could not compute an expression, e.g. a number became too large.
        """
        import pyarrow as pa

        assert view.derive is not None, f"{view.name} is not derived"
        numbered = rows.append_column(ROW, pa.array(range(rows.num_rows), pa.int64()))
        with self._lock:
            derived = self._run(view, numbered)
        return derived.select([feature.name for feature in view.features]).cast(_schema(view))

    def close(self) -> None:
        """Gives the engine's memory back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _run(self, view: CompiledView, rows: pa.Table) -> pa.Table:
        import duckdb

        assert view.derive is not None
        connection = self._open()
        connection.register(_INPUT, rows)
        try:
            connection.execute(f'CREATE OR REPLACE VIEW inputs."rows" AS SELECT * FROM {_INPUT}')  # noqa: S608 - constants
            return connection.sql(view.derive.sql["duckdb"]).to_arrow_table()
        except duckdb.Error as error:
            # the engine's own message may quote a value
            raise StoreError(
                QUERY_FAILED.problem(
                    f"derived features of view '{view.name}' could not be computed ({type(error).__name__})",
                    mend="look for divisions, casts or sums in its expressions that some input can't survive",
                )
            ) from None
        finally:
            connection.unregister(_INPUT)

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            import duckdb

            settings: dict[str, Any] = {
                "threads": 1,
                "enable_external_access": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
            }
            self._connection = duckdb.connect(config=settings)
            self._connection.execute("SET TimeZone = 'UTC'")
            self._connection.execute("CREATE SCHEMA inputs")
        return self._connection


def _schema(view: CompiledView) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(feature.name, feature.column.type.arrow()) for feature in view.features])
