"""A definition becomes one guarded, typed, lineage-carrying query per engine. Never touches a database.

May import: ``specs``, ``registry``, ``governance``. Start at :mod:`plan` (the result), then :mod:`project`. Tools may
use :func:`guard`: SQL, what there is to read, who asks → a :class:`GuardedQuery`, or every reason why not.
"""

from __future__ import annotations

# Not lazy: the function has the name of its module, and whichever is bound last is what the package hands out.
from feature_platform.compiler.guard import GuardedQuery, guard

__all__ = ["GuardedQuery", "guard"]
