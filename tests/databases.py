"""Databases of a test's own on the server of its worker: one holds one token key and one audit ledger."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.sql import SQL, Identifier


def own_database(server_url: str, name: str) -> str:
    """An empty database called ``name``, as a libpq URL for its owner, who is a superuser."""
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(name)))
        server.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
