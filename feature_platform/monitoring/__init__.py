"""Measures rows: contract checks (schema, keys, ranges, null rates, row counts, freshness) and the PII gate on staged
data.

May import: ``compiler``, ``stores`` and below. Start at :mod:`gate`.
"""
