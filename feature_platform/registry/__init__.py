"""Links documents into one immutable graph; validates references, cycles and keys; fingerprints.

May import: ``specs``. Start at :mod:`graph` (what it is), then :mod:`link` (how it is made).
"""
