"""Names and texts in Doris' SQL: back-quoted always, since ``read``, ``key``, ``match`` and 187 others are reserved."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

TABLE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
"""What every version takes without settings; the server allows a little more."""
COLUMN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
LABEL: Final = re.compile(r"[-_A-Za-z0-9:]{1,128}")
_NAME_LENGTH: Final = 64
_DIGEST_LENGTH: Final = 10


def quoted(name: str) -> str:
    """``name`` as an identifier.

    >>> quoted("key")
    '`key`'
    """
    if "\0" in name:
        raise ValueError("a name for SQL must not hold NUL")
    return f"`{name.replace('`', '``')}`"


def text(value: str) -> str:
    """``value`` as a string literal. Doris reads backslashes as escapes, as MySQL does.

    >>> text("it's 5\\\\6")
    "'it''s 5\\\\\\\\6'"
    """
    escaped = value.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0")
    return f"'{escaped}'"


def physical(name: str, ending: str = "") -> str:
    """The table's name in Doris: ``name`` where that is one, else its readable part and a digest; then ``ending``.

    >>> physical("card_spend")
    'card_spend'
    >>> physical("a/b", "__17")
    'a_b_c14cddc033__17'
    """
    room = _NAME_LENGTH - len(ending)
    if TABLE_NAME.fullmatch(name) and len(name) <= room and "__" not in name:
        return f"{name}{ending}"
    readable = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    readable = readable if readable[:1].isalpha() else f"t_{readable}"
    digest = sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{readable[: room - _DIGEST_LENGTH - 1].rstrip('_')}_{digest}{ending}"


def label(*parts: str, content: str) -> str:
    """A load's label: readable parts, and a digest of all of them and of the content; the same for the same load.

    >>> label("card_spend", "2026-06-30", "r1", "0", content="ab12")
    'fp_card_spend_2026-06-30_r1_0_d271484fb2642bb1fd3ffe5d396b243f'
    """
    digest = sha256("\0".join((*parts, content)).encode()).hexdigest()[:32]
    readable = re.sub(r"[^-_A-Za-z0-9]", "-", "_".join(("fp", *parts)))
    return f"{readable[: 128 - len(digest) - 1]}_{digest}"
