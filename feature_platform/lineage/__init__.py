"""Where every column comes from and what it goes into, for people and, as OpenLineage events, for catalogues.

May import: ``project`` and below. Start at :mod:`graph` (the whole project's lineage), :mod:`subtypes` (in which way a
column flows) and :mod:`events` (OpenLineage; needs the extra ``lineage``).
"""
