"""A double of a Doris cluster's protocols, for tests: HTTP of frontend and backend, MySQL's wire, data kept in DuckDB.

It is no Doris. It knows the statements that the store sends, answers as the facts in the source comments say, and
refuses everything else. It proves what the store does with replies, losses and faults; it can't prove that a real
cluster replies so. What has not been seen on a live cluster is listed in ``docs/guides/doris.md``.
"""
