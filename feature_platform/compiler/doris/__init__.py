"""SQL for Apache Doris: the same guarded trees and the same plans, written by an emitter of our own.

sqlglot reads SQL here and never writes it for Doris: of what it would write, a good dozen constructs are accepted by
Doris and give other values. So every node class, every function and every type that may get into a text stands in a
list, and what is not in it is an error with a mend.

Start reading at :mod:`render` (trees of authors' SQL), :mod:`functions` (how each function of the catalogue is said),
:mod:`windows` and :mod:`training` (the platform's own plans), :mod:`lint`, which reads the finished text by itself
and lets nothing out that it does not know. :mod:`views` is the way in. Nothing here is imported unless a text for
Doris is asked for. ``docs/adr/0025-sql-for-doris.md`` has the reasons.
"""
