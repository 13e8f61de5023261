"""Classifications, policies, governed transforms, tokens and PII detection.

May import: ``specs``, ``registry``. Start at :mod:`policies`, then :mod:`transforms`.
"""
