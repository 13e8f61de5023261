"""Opens a project: registry, compiled views and the stores of a profile, with compiled queries bound to real tables.

The one place where compilation and stores meet, shared by orchestration, SDK and CLI. Start at :mod:`project`.
"""
