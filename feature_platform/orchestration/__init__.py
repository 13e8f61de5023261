"""Everything Dagster: the factory, IO managers, checks, schedules, resources, instance storage.

May import: everything below. Start at :mod:`factory`.
"""
