"""Versioned layouts of the platform's own tables in PostgreSQL, and how a database gets from one to the next.

A :class:`~feature_platform.layouts.migrate.Line` is a set of tables that lies in one schema. The package that uses the
tables declares it, beside a folder with its revisions; Alembic applies them (ADR 0031).
"""
