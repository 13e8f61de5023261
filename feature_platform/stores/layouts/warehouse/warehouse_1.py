"""The first layout: every staged and live write of a warehouse, and the counter of its versions."""

from __future__ import annotations

from alembic.operations import Operations

from feature_platform.stores.quoting import identifier

revision = "warehouse_1"
down_revision = None


def upgrade(op: Operations, schema: str) -> None:
    """Of databases that were used before layouts had numbers, the tables are there already."""
    quoted = identifier(schema)
    op.execute(f"CREATE SEQUENCE IF NOT EXISTS {quoted}.versions")
    op.execute(f"""
        CREATE TABLE IF NOT EXISTS {quoted}.writes (
            token text PRIMARY KEY,
            table_schema text NOT NULL,
            table_name text NOT NULL,
            partition text,
            relation_schema text NOT NULL,
            relation_name text NOT NULL,
            columns jsonb NOT NULL,
            rows bigint NOT NULL,
            properties jsonb NOT NULL,
            state text NOT NULL,
            version bigint,
            published_at timestamp
        )
    """)
    op.execute(f"CREATE INDEX IF NOT EXISTS writes_by_table ON {quoted}.writes (table_schema, table_name)")
