"""The first layout: every write into a Doris cluster, and every load that belongs to one, written before it is sent."""

from __future__ import annotations

from alembic.operations import Operations

from feature_platform.stores.quoting import identifier

revision = "doris_1"
down_revision = None


def upgrade(op: Operations, schema: str) -> None:
    quoted = identifier(schema)
    op.execute(f"CREATE SEQUENCE {quoted}.versions")
    op.execute(f"""
        CREATE TABLE {quoted}.writes (
            token text PRIMARY KEY,
            table_schema text NOT NULL,
            table_name text NOT NULL,
            partition text,
            database text NOT NULL,
            relation text NOT NULL,
            part text,
            columns jsonb NOT NULL,
            rows bigint NOT NULL,
            properties jsonb NOT NULL,
            state text NOT NULL,
            version bigint,
            published_at timestamp
        )
    """)
    op.execute(f"CREATE INDEX writes_by_table ON {quoted}.writes (table_schema, table_name)")
    op.execute(f"""
        CREATE TABLE {quoted}.loads (
            label text PRIMARY KEY,
            token text NOT NULL,
            database text NOT NULL,
            relation text NOT NULL,
            part text,
            chunk integer NOT NULL,
            rows bigint NOT NULL,
            bytes bigint NOT NULL,
            digest text NOT NULL,
            state text NOT NULL,
            planned_at timestamp NOT NULL,
            settled_at timestamp
        )
    """)
    op.execute(f"CREATE INDEX loads_by_token ON {quoted}.loads (token)")
