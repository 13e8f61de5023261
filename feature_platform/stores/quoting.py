"""Names and texts as SQL tokens, for the few statements that take no parameters (DDL, ``COPY``).

DuckDB and PostgreSQL follow the standard here: a doubled quote stands for one, backslashes mean nothing.
"""

from __future__ import annotations


def identifier(name: str) -> str:
    """``name`` as a quoted identifier.

    >>> identifier('a"b')
    '"a""b"'
    """
    return _quoted(name, '"')


def literal(text: str) -> str:
    """``text`` as a string literal.

    >>> literal("it's")
    "'it''s'"
    """
    return _quoted(text, "'")


def _quoted(text: str, quote: str) -> str:
    if "\0" in text:
        raise ValueError("a name or text for SQL must not hold NUL")
    return f"{quote}{text.replace(quote, quote * 2)}{quote}"
