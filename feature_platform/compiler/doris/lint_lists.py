"""What the linter knows: words, functions, types, and what Doris refuses or takes for something else."""

from __future__ import annotations

from typing import Final

KEYWORDS: Final = frozenset({
    "SELECT", "DISTINCT", "FROM", "WHERE", "GROUP", "BY", "HAVING", "ORDER", "LIMIT", "OFFSET", "AS", "WITH",
    "UNION", "ALL", "EXCEPT", "INTERSECT", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "SEMI",
    "ANTI", "ASOF", "MATCH_CONDITION", "ON", "AND", "OR", "NOT", "IN", "IS", "NULL", "TRUE", "FALSE", "BETWEEN",
    "LIKE", "EXISTS", "CASE", "WHEN", "THEN", "ELSE", "END", "DIV", "OVER", "PARTITION", "ROWS", "RANGE",
    "UNBOUNDED", "PRECEDING", "FOLLOWING", "CURRENT", "ROW", "ASC", "DESC", "NULLS", "FIRST", "LAST",
})  # fmt: skip
"""Every word of Doris' SQL that texts are made of, besides functions and types."""

_MANY: Final = 10_000

FUNCTIONS: Final[dict[str, tuple[int, int]]] = {
    "CAST": (1, 1), "TRY_CAST": (1, 1),
    "COALESCE": (1, _MANY), "NULLIF": (2, 2), "GREATEST": (2, _MANY), "LEAST": (2, _MANY), "IF": (3, 3),
    "ARRAY": (1, _MANY), "ARRAY_CONTAINS": (2, 2), "ARRAY_SIZE": (1, 1), "ARRAY_SLICE": (3, 3),
    "ABS": (1, 1), "SIGN": (1, 1), "ROUND": (2, 2), "ROUND_BANKERS": (1, 1), "FLOOR": (1, 1), "CEIL": (1, 1),
    "TRUNCATE": (2, 2), "SQRT": (1, 1), "CBRT": (1, 1), "LN": (1, 1), "LOG10": (1, 1), "EXP": (1, 1), "POWER": (2, 2),
    "SIN": (1, 1), "COS": (1, 1), "TAN": (1, 1), "ASIN": (1, 1), "ACOS": (1, 1), "ATAN": (1, 1), "ATAN2": (2, 2),
    "RADIANS": (1, 1), "DEGREES": (1, 1), "PI": (0, 0),
    "BITAND": (2, 2), "BITOR": (2, 2), "BITXOR": (2, 2), "BITNOT": (1, 1),
    "CHAR_LENGTH": (1, 1), "CONCAT": (2, _MANY), "CONCAT_WS": (2, _MANY), "TRANSLATE": (3, 3), "TRIM": (2, 2),
    "LTRIM": (2, 2), "RTRIM": (2, 2), "SUBSTR": (2, 3), "LEFT": (2, 2), "RIGHT": (2, 2), "STARTS_WITH": (2, 2),
    "ENDS_WITH": (2, 2), "INSTR": (2, 2), "REPLACE": (3, 3), "SPLIT_PART": (3, 3), "REPEAT": (2, 2), "LPAD": (3, 3),
    "RPAD": (3, 3), "MD5": (1, 1), "SHA2": (2, 2), "REGEXP_EXTRACT": (3, 3), "REGEXP_REPLACE": (3, 3),
    "ARRAY_JOIN": (2, 2), "TO_JSON": (1, 1), "MAP_KEYS": (1, 1), "MAP_VALUES": (1, 1),
    "MURMUR_HASH3_64": (1, 1),
    "DATE_TRUNC": (2, 2), "DATEDIFF": (2, 2), "YEAR": (1, 1), "QUARTER": (1, 1), "MONTH": (1, 1), "WEEKOFYEAR": (1, 1),
    "DAYOFMONTH": (1, 1), "HOUR": (1, 1), "MINUTE": (1, 1), "SECOND": (1, 1), "MICROSECOND": (1, 1),
    "DAYOFWEEK": (1, 1), "WEEKDAY": (1, 1), "DAYOFYEAR": (1, 1), "LAST_DAY": (1, 1), "DAYNAME": (1, 1),
    "MONTHNAME": (1, 1), "DATE_FORMAT": (2, 2),
    "MONTHS_ADD": (2, 2), "DAYS_ADD": (2, 2), "DAYS_SUB": (2, 2), "SECONDS_ADD": (2, 2), "SECONDS_SUB": (2, 2),
    "MICROSECONDS_ADD": (2, 2), "MICROSECONDS_SUB": (2, 2),
    "COUNT": (1, 1), "SUM": (1, 1), "AVG": (1, 1), "MIN": (1, 1), "MAX": (1, 1), "STDDEV_SAMP": (1, 1),
    "STDDEV_POP": (1, 1), "VAR_SAMP": (1, 1), "VAR_POP": (1, 1), "PERCENTILE_CONT": (2, 2), "GROUP_BIT_AND": (1, 1),
    "GROUP_BIT_OR": (1, 1), "GROUP_BIT_XOR": (1, 1), "GROUP_CONCAT": (2, 2),
    "ROW_NUMBER": (0, 0), "RANK": (0, 0), "DENSE_RANK": (0, 0), "PERCENT_RANK": (0, 0), "CUME_DIST": (0, 0),
    "NTILE": (1, 1), "LAG": (3, 3), "LEAD": (3, 3), "FIRST_VALUE": (1, 2), "LAST_VALUE": (1, 2), "NTH_VALUE": (2, 2),
}  # fmt: skip
"""Function → least and greatest number of arguments."""

OVER_ONLY: Final = frozenset({
    "ROW_NUMBER", "RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST", "NTILE", "LAG", "LEAD", "FIRST_VALUE",
    "LAST_VALUE", "NTH_VALUE",
})  # fmt: skip
AGGREGATES: Final = frozenset({
    "COUNT", "SUM", "AVG", "MIN", "MAX", "STDDEV_SAMP", "STDDEV_POP", "VAR_SAMP", "VAR_POP", "GROUP_BIT_AND",
    "GROUP_BIT_OR", "GROUP_BIT_XOR",
})  # fmt: skip
"""Aggregates that may have OVER."""
ORDERED_INSIDE: Final = frozenset({"GROUP_CONCAT"})
TRUNCATED: Final = frozenset({
    "second", "minute", "hour", "day", "week", "month", "quarter", "year",
})  # fmt: skip

TYPES: Final[dict[str, tuple[str, ...]]] = {
    "BOOLEAN": (), "INT": (), "BIGINT": (), "DOUBLE": (), "STRING": (), "DATE": (), "ARRAY": (),
    "DATETIME": ("(", "6", ")"), "DECIMAL": ("(", "p, s", ")"),
}  # fmt: skip
"""Type of a cast → what has to stand behind it."""

DENIED: Final[dict[str, str]] = {
    "QUALIFY": "a sub-query with row_number() says it on every version",
    "LATERAL": "Doris has LATERAL VIEW alone, no sub-query that sees the row",
    "FILTER": "SUM(CASE WHEN ... THEN x END)",
    "WITHIN": "no ordered-set aggregates",
    "EXCLUDE": "frames have none, and sqlglot drops it: the row itself leaks into its own window",
    "IGNORE": "LAST_VALUE(x, TRUE) is how NULLs are ignored",
    "RESPECT": "leave it out",
    "GROUPS": "no such frames",
    "WINDOW": "no named windows",
    "UNNEST": "before 4.1 none in FROM, and never where EXPLODE needs LATERAL VIEW",
    "EXPLODE": "it needs LATERAL VIEW",
    "INTERVAL": "RANGE with an interval parses and is then refused, other intervals lose microseconds: DAYS_ADD(...)",
    "AT": "AT TIME ZONE: no zones in DATETIME",
    "CONFLICT": "ON CONFLICT: UNIQUE tables replace by key",
    "RECURSIVE": "only from 4.1 on",
    "ILIKE": "lower both sides",
    "RLIKE": "Hyperscan's $ stands before a last line end too: REGEXP_EXTRACT(...) <> ''",
    "REGEXP": "Hyperscan's $ stands before a last line end too: REGEXP_EXTRACT(...) <> ''",
    "SIMILAR": "REGEXP_EXTRACT(...) <> ''",
    "PIVOT": "dropped by translators: the whole table",
    "UNPIVOT": "dropped by translators: the whole table",
    "SAMPLE": "another sample each time",
    "TABLESAMPLE": "another sample each time",
    "NATURAL": "name the columns",
    "USING": "ON with both columns",
    "POSITIONAL": "number the rows and join on the numbers",
    "STRUCT": "no struct literals",
    "NAMED_STRUCT": "no struct literals",
    "MAP": "no maps in texts",
    "COLLATE": "Doris compares by bytes",
    "ESCAPE": "a backslash in the pattern",
    "XOR": "a <> b",
    "INTO": "a query changes nothing",
    "INSERT": "a query changes nothing",
    "UPDATE": "a query changes nothing",
    "DELETE": "a query changes nothing",
    "DROP": "a query changes nothing",
    "SET": "a query changes nothing",
    "OUTFILE": "a query writes no files",
    "LOG": "natural in Doris, of base 10 in DuckDB: LN or LOG10",
    "LENGTH": "bytes in Doris: CHAR_LENGTH",
    "STDDEV": "of the population in Doris: STDDEV_SAMP or STDDEV_POP",
    "VARIANCE": "of the population in Doris: VAR_SAMP or VAR_POP",
    "STD": "of the population in Doris: STDDEV_SAMP or STDDEV_POP",
    "WEEK": "not ISO 8601 in Doris: WEEKOFYEAR",
    "JSON_EXTRACT": "it keeps the quotes",
    "COLLECT_LIST": "it has no order",
    "ARRAY_AGG": "it has no order",
    "MAX_BY": "it says nothing about ties",
    "MIN_BY": "it says nothing about ties",
    "ANY_VALUE": "it says nothing about which",
    "HASH": "no such function",
    "SHA256": "SHA2(x, 256)",
    "APPROX_QUANTILE": "no such function",
    "MODE": "no such function",
    "PERCENTILE_DISC": "no such function",
    "FROM_UNIXTIME": "it goes by the session's time zone",
    "UNIX_TIMESTAMP": "it goes by the session's time zone",
    "CONVERT_TZ": "times are UTC",
    "NOW": "it reads the clock",
    "CURRENT_TIMESTAMP": "it reads the clock",
    "RAND": "another value each time",
    "UUID": "another value each time",
    "SLEEP": "a query does not wait",
    "ENCRYPTKEY": "a key never stands in a query",
    "KEY": "a key never stands in a query",
    "AES_ENCRYPT": "its key would stand in the text",
    "AES_DECRYPT": "its key would stand in the text",
}
"""Word → why not, or what to write instead. All other unknown words are refused as well, with less to say."""

DENIED_SIGNS: Final[dict[str, str]] = {
    "||": "OR in Doris: CONCAT(a, b)",
    "::": "no such cast: CAST(x AS type)",
    "--": "a comment",
    "/*": "a comment",
    "#": "a comment",
    ";": "one statement alone",
    '"': "a text in MySQL's mode: names stand in back-quotes",
    "[": "places count from another number elsewhere: ARRAY(...)",
    "]": "places count from another number elsewhere: ARRAY(...)",
    "{": "no struct literals",
    "}": "no struct literals",
    "->": "no lambda, no JSON arrow",
    "->>": "it keeps the quotes in JSON_EXTRACT's form",
    "@": "no variables",
    "~": "BITNOT(x)",
    "&": "BITAND(a, b)",
    "|": "BITOR(a, b)",
    "^": "BITXOR(a, b)",
    "?": "parameters are $name",
}
