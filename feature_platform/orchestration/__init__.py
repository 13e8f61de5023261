"""Everything Dagster: the factory, IO managers, checks, schedules, resources, instance storage.

May import: everything below. Start at :mod:`factory` (what Dagster is told), :mod:`materialization` (what happens to
rows; knows no Dagster) and :mod:`runs` (how a person starts it).
"""
