"""What an error code means, with an example that was run: ``fp explain CODE``, and the pages under
``docs/reference/errors``.

Start at :mod:`catalogue` (every code), then :mod:`examples` (what is run) and :mod:`pages` (what comes of it).
"""
