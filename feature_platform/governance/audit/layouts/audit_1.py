"""The first layout of the audit ledger: the file that the owner of a database can run without this platform."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations

from feature_platform.governance.audit.postgres_ledger import SCHEMA_FILE

revision = "audit_1"
down_revision = None


def upgrade(op: Operations, schema: str) -> None:
    """Nothing to make where the owner ran the file."""
    session: Any = op.get_bind().connection.driver_connection
    if session.execute("SELECT to_regclass(%s)", [f"{schema}.ledger"]).fetchone() == (None,):
        # Past SQLAlchemy, which would take the file's percent signs and colons for its own.
        session.execute(SCHEMA_FILE.read_text(encoding="utf-8"))
        session.execute("DELETE FROM fp_audit.layout")  # Alembic writes that row itself
