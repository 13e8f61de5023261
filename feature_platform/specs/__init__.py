"""What a team writes: models of every YAML kind, the loader, errors with file, line and column.

May import: nothing of the platform but ``errors`` and ``types``. Start at :mod:`models`, then :mod:`loader`.
"""
