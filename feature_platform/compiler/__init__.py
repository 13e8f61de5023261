"""A definition becomes one guarded, typed, lineage-carrying query per engine. Never touches a database.

May import: ``specs``, ``registry``, ``governance``. Start at :mod:`plan` (the result), then :mod:`project` and
:mod:`guard`.
"""
