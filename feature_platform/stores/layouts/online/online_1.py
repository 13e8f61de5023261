"""The first layout: which version of a view is live, and which versions have a table without being live."""

from __future__ import annotations

from alembic.operations import Operations

from feature_platform.stores.quoting import identifier

revision = "online_1"
down_revision = None


def upgrade(op: Operations, schema: str) -> None:
    """Of databases that were used before layouts had numbers, the tables are there already."""
    quoted = identifier(schema)
    op.execute(f"""
        CREATE TABLE IF NOT EXISTS {quoted}.publications (
            view text PRIMARY KEY,
            version text NOT NULL,
            fingerprint text NOT NULL,
            rows bigint NOT NULL,
            event_time timestamp,
            published_at timestamp NOT NULL,
            properties jsonb NOT NULL
        )
    """)
    op.execute(f"""
        CREATE TABLE IF NOT EXISTS {quoted}.versions (
            version text PRIMARY KEY,
            view text NOT NULL,
            state text NOT NULL,
            event_time timestamp,
            begun_at timestamptz NOT NULL DEFAULT now()
        )
    """)
