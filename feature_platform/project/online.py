"""The shape that a view's rows have online. Whoever writes them and whoever reads them asks here, so both mean the
same.
"""

from __future__ import annotations

from feature_platform.compiler.plan import CompiledView
from feature_platform.registry.fingerprint import digest
from feature_platform.stores.online_protocol import OnlineTable
from feature_platform.types import TIMESTAMP, Column, TableSchema


def online_table(view: CompiledView) -> OnlineTable:
    """Keys, ``event_time``, features.

    The fingerprint changes with names and types alone: a new query over the same columns can be read by those who know
    the old one.
    """
    features = tuple(Column(feature.name, feature.column.type) for feature in view.features)
    schema = TableSchema((*view.keys, Column("event_time", TIMESTAMP), *features))
    keys = tuple(key.name for key in view.keys)
    shape = {"keys": keys, "columns": [[column.name, str(column.type)] for column in schema.columns]}
    return OnlineTable(view.name, view.entity, keys, schema, digest(shape))
