"""Apache Doris as a warehouse, the way its experts use it: loads that count once, publications that switch at once.

May import what ``stores`` may. Start at :mod:`tables` (what a table is), :mod:`loads` (how rows get in) and
:mod:`warehouse` (the ``Warehouse`` protocol). What has not been seen on a live cluster stands in
``docs/guides/doris.md``.
"""
