"""Warehouses (DuckDB over Delta, PostgreSQL, Doris) and online stores (Redis, PostgreSQL) behind two small protocols.

May import: ``governance`` and below. Start at :mod:`protocols` (warehouses) and :mod:`online_protocol`.
"""
