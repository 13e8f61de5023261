"""The audit ledger: who did what to which data, why, and what the policy said. Appended to, chained, never changed.

May import: ``specs``, ``registry`` and the rest of ``governance``. Start at :mod:`trail`, which accepts events; then
:mod:`event` (what one says), :mod:`spool` (where an accepted event is safe), :mod:`drain` (from there into the
ledger), :mod:`chain` (how the ledger is sealed, and how a change to it is found).
"""
