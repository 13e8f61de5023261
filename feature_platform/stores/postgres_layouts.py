"""The layouts of the tables that PostgreSQL stores keep for themselves, and the roles that use them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import psycopg

from feature_platform.layouts.migrate import Line, bring_up_to_date
from feature_platform.stores.postgres_connection import reported

ROLES_FILE: Final = Path(__file__).with_name("postgres_roles.sql")
LEDGER_ROLES_FILE: Final = Path(__file__).with_name("doris_roles.sql")
_FOLDER: Final = Path(__file__).parent / "layouts"

WAREHOUSE: Final = Line(_FOLDER / "warehouse", ("warehouse_1",))
"""Which writes of a warehouse there are; in ``<prefix>_meta``."""
DORIS: Final = Line(_FOLDER / "doris", ("doris_1",))
"""What a Doris cluster was given, see :mod:`feature_platform.stores.doris.ledger`; in ``<prefix>_doris``."""
ONLINE: Final = Line(_FOLDER / "online", ("online_1",))
"""Which versions of views there are online; in ``<prefix>online``."""


def migrate(url: str, prefix: str, *, ledger: bool = False) -> tuple[str, ...]:
    """Makes or changes all tables of a store; gives the schemas where something had to be done. ``url`` is the owner's;
    with ``ledger`` the store keeps one of a Doris cluster.

    Raises:
        StoreError: the server can't be reached, the role may not, or a newer release was here.
    """
    with reported(), psycopg.connect(url, autocommit=True) as session:
        lines = {f"{prefix}_meta": WAREHOUSE, f"{prefix}online": ONLINE}
        lines |= {f"{prefix}_doris": DORIS} if ledger else {}
        return tuple(schema for schema, line in lines.items() if bring_up_to_date(session, url, line, schema))


def roles(prefix: str, *, ledger: bool = False) -> str:
    """The SQL that makes the roles of a store, and lets each do its part; with ``ledger``, in that of a Doris cluster
    too.
    """
    files = (ROLES_FILE, LEDGER_ROLES_FILE) if ledger else (ROLES_FILE,)
    text = "".join(file.read_text("utf-8") for file in files)
    return re.sub(r"\bfp(?=_(owner|publisher|reader|meta|features|doris)\b|online\b)", prefix, text)
