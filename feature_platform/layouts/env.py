"""What Alembic runs: the revisions of one line, in the caller's transaction. See ``layouts``."""

from __future__ import annotations

from alembic import context

_given = context.config.attributes
context.configure(connection=_given["connection"], version_table=_given["table"], version_table_schema=_given["schema"])
with context.begin_transaction():
    context.run_migrations(schema=_given["schema"])
