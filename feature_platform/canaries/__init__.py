"""Searches every store for canaries: values of synthetic people that the raw sources hold, and that nothing else may.

May import: ``project`` and below. Start at :mod:`scan` (which places there are) and :mod:`needles` (how bytes are
searched).
"""
