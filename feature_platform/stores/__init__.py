"""Warehouses (DuckDB over Delta, PostgreSQL) and online stores (Redis, PostgreSQL) behind two small protocols.

May import: ``specs``. Start at :mod:`protocols`.
"""
