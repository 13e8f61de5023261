"""Functions of texts. Lengths and positions count code points from 1; letters are folded in ASCII only, since engines
disagree on the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from feature_platform.compiler.functions import constants
from feature_platform.compiler.functions.constants import whole
from feature_platform.compiler.functions.model import ARRAY, TEXT, WHOLE, Function, Parameter, node, sig
from feature_platform.compiler.numeric import Inferred
from feature_platform.types import BIGINT, BOOLEAN, STRING

_NULL_IN: Final = "when an argument is"
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"

_TEXT: Final = Parameter("text", TEXT)
_PART: Final = Parameter("part", TEXT)
_CHARACTERS: Final = Parameter("characters", constant=constants.text)
_FOLD: Final = "Letters `A` to `Z` only: what becomes of others depends on the engine's locale, so they stay."

# DuckDB counts a negative start from the end; PostgreSQL, like the standard, from before the text.
_START: Final = "CASE WHEN start < 0 THEN LENGTH(text) + start + 1 ELSE start END"
_LENGTH: Final = "CASE WHEN length < 0 THEN 0 ELSE length END"


def _joined(types: Sequence[Inferred]) -> Inferred:
    return types[0]


def _trim(name: str, position: str | None, duckdb: str, postgres: str, where: str) -> Function:
    fixed = {"position": position} if position else {}
    return Function(
        name,
        (
            sig(_TEXT, to=STRING, duckdb=f"{duckdb}(text, ' ')", postgres=f"{postgres}(text, ' ')"),
            sig(
                _TEXT,
                _CHARACTERS,
                to=STRING,
                duckdb=f"{duckdb}(text, characters)",
                postgres=f"{postgres}(text, characters)",
                key="characters",
            ),
        ),
        f"Without the given characters (default: the space) {where}.",
        _NULL_IN,
        (node(exp.Trim, "this", "expression", fixed=fixed, ignored=("collation",)),)
        + ((node(exp.Trim, "this", "expression", fixed={"position": "BOTH"}),) if position is None else ()),
    )


def _pad(name: str, left: bool) -> Function:
    return Function(
        name,
        (
            sig(
                _TEXT,
                Parameter("length", constant=whole(0, 10_000)),
                Parameter("fill", constant=constants.text),
                to=STRING,
                both=f"{name.upper()}(text, length, fill)",
            ),
        ),
        f"Filled up on the {'left' if left else 'right'} to `length` characters, or cut to it.",
        _NULL_IN,
        (node(exp.Pad, "this", "expression", "fill_pattern", fixed={"is_left": "True" if left else "False"}),),
    )


FUNCTIONS: Final = (
    Function(
        "length",
        (
            sig(_TEXT, to=BIGINT, both="LENGTH(text)"),
            sig(Parameter("list_", ARRAY), to=BIGINT, duckdb="LEN(list_)", postgres="CARDINALITY(list_)", key="list"),
        ),
        "Number of code points of a text, of elements of a list.",
        _NULL_IN,
        (node(exp.Length, "this"),),
        aliases=("len", "char_length"),
    ),
    Function(
        "lower",
        (sig(_TEXT, to=STRING, both=f"TRANSLATE(text, '{_UPPER}', '{_LOWER}')"),),
        f"In small letters. {_FOLD}",
        _NULL_IN,
        (node(exp.Lower, "this"),),
    ),
    Function(
        "upper",
        (sig(_TEXT, to=STRING, both=f"TRANSLATE(text, '{_LOWER}', '{_UPPER}')"),),
        f"In capital letters. {_FOLD}",
        _NULL_IN,
        (node(exp.Upper, "this"),),
    ),
    _trim("trim", None, "TRIM", "BTRIM", "at both ends"),
    _trim("ltrim", "LEADING", "LTRIM", "LTRIM", "at the start"),
    _trim("rtrim", "TRAILING", "RTRIM", "RTRIM", "at the end"),
    Function(
        "substr",
        (
            sig(
                _TEXT,
                Parameter("start", constant=whole(1)),
                Parameter("length", constant=whole(0)),
                to=STRING,
                both="SUBSTR(text, start, length)",
            ),
            sig(_TEXT, Parameter("start", constant=whole(1)), to=STRING, both="SUBSTR(text, start)", key="rest"),
            sig(
                _TEXT,
                Parameter("start", WHOLE),
                Parameter("length", WHOLE),
                to=STRING,
                duckdb=f"SUBSTR(text, start, {_LENGTH})",
                postgres=f"SUBSTR(text, CAST({_START} AS INT), CAST({_LENGTH} AS INT))",
                key="computed",
            ),
            sig(
                _TEXT,
                Parameter("start", WHOLE),
                to=STRING,
                duckdb="SUBSTR(text, start)",
                postgres=f"SUBSTR(text, CAST({_START} AS INT))",
                key="computed_rest",
            ),
        ),
        "The characters from `start` (from 1; negative: from the end), at most `length` of them.",
        _NULL_IN,
        (node(exp.Substring, "this", "start", "length"),),
        aliases=("substring",),
    ),
    Function(
        "left",
        (sig(_TEXT, Parameter("count", constant=whole(0)), to=STRING, both="LEFT(text, count)"),),
        "The first `count` characters.",
        _NULL_IN,
        (node(exp.Left, "this", "expression"),),
    ),
    Function(
        "right",
        (sig(_TEXT, Parameter("count", constant=whole(0)), to=STRING, both="RIGHT(text, count)"),),
        "The last `count` characters.",
        _NULL_IN,
        (node(exp.Right, "this", "expression"),),
    ),
    Function(
        "concat",
        (sig(Parameter("text", TEXT, many=True), to=STRING, both="CONCAT(text)"),),
        "Texts put together; NULLs are left out.",
        "never; of NULLs alone it is empty",
        (node(exp.Concat, "expressions", ignored=("safe", "coalesce")),),
    ),
    Function(
        "concat_ws",
        (
            sig(
                Parameter("separator", constant=constants.text),
                Parameter("text", TEXT, many=True),
                to=STRING,
                both="CONCAT_WS(separator, text)",
            ),
        ),
        "Texts put together with a separator between them; NULLs are left out.",
        "never",
        (node(exp.ConcatWs, "expressions", ignored=("safe", "coalesce")),),
    ),
    Function(
        "||",
        (
            sig(_TEXT, Parameter("other", TEXT), to=STRING, both="text || other"),
            sig(
                Parameter("list_", ARRAY),
                Parameter("behind", ARRAY),
                to=_joined,
                duckdb="list_ || behind",
                postgres="CASE WHEN NOT list_ IS NULL AND NOT behind IS NULL THEN list_ || behind END",
                key="list",
                unify=True,
                shown="that of both together",
            ),
        ),
        "Two texts, or two lists, put together.",
        _NULL_IN,
        (node(exp.DPipe, "this", "expression", ignored=("safe",)),),
    ),
    Function(
        "starts_with",
        (sig(_TEXT, _PART, to=BOOLEAN, both="STARTS_WITH(text, part)"),),
        "Whether `text` begins with `part`.",
        _NULL_IN,
        (node(exp.StartsWith, "this", "expression"),),
        aliases=("prefix", "^@"),
    ),
    Function(
        "ends_with",
        (
            sig(
                _TEXT,
                _PART,
                to=BOOLEAN,
                duckdb="SUFFIX(text, part)",
                postgres="RIGHT(text, LENGTH(part)) = part",
            ),
        ),
        "Whether `text` ends with `part`.",
        _NULL_IN,
        (node(exp.EndsWith, "this", "expression"),),
        aliases=("suffix",),
    ),
    Function(
        "contains",
        (sig(_TEXT, _PART, to=BOOLEAN, both="STRPOS(text, part) > 0"),),
        "Whether `part` occurs in `text`.",
        _NULL_IN,
        (node(exp.Contains, "this", "expression"),),
    ),
    Function(
        "strpos",
        (sig(_TEXT, _PART, to=BIGINT, both="STRPOS(text, part)"),),
        "The place of the first `part` in `text`, from 1; 0 if there is none.",
        _NULL_IN,
        (node(exp.StrPosition, "this", "substr"),),
        aliases=("instr", "position"),
    ),
    Function(
        "replace",
        (sig(_TEXT, _PART, Parameter("by", TEXT), to=STRING, both="REPLACE(text, part, by)"),),
        "`text` with every `part` replaced.",
        _NULL_IN,
        (node(exp.Replace, "this", "expression", "replacement"),),
    ),
    Function(
        "translate",
        (
            sig(
                _TEXT,
                Parameter("characters", constant=constants.text),
                Parameter("by", TEXT),
                to=STRING,
                both="TRANSLATE(text, characters, by)",
            ),
        ),
        "Characters replaced one by one; those without a partner are removed.",
        _NULL_IN,
        (node(exp.Translate, "this", "from_", "to"),),
    ),
    Function(
        "split_part",
        (
            sig(
                _TEXT,
                Parameter("delimiter", constant=constants.text),
                Parameter("index", constant=whole(but=0)),
                to=STRING,
                both="SPLIT_PART(text, delimiter, index)",
            ),
        ),
        "The part at `index` between delimiters, from 1, or from the end if negative; empty beyond.",
        _NULL_IN,
        (node(exp.SplitPart, "this", "delimiter", "part_index"),),
    ),
    Function(
        "repeat",
        (sig(_TEXT, Parameter("count", constant=whole(0, 1_000)), to=STRING, both="REPEAT(text, count)"),),
        "`text` over and over.",
        _NULL_IN,
        (node(exp.Repeat, "this", "times"),),
    ),
    _pad("lpad", True),
    _pad("rpad", False),
    Function(
        "md5",
        (sig(_TEXT, to=STRING, both="MD5(text)"),),
        "MD5 of the UTF-8 bytes, 32 hexadecimal digits. For buckets and keys; it hides nothing.",
        _NULL_IN,
        (node(exp.MD5, "this"),),
    ),
    Function(
        "sha256",
        (
            sig(
                _TEXT,
                to=STRING,
                duckdb="SHA256(text)",
                postgres="ENCODE(SHA256(CONVERT_TO(text, 'UTF8')), 'hex')",
            ),
        ),
        "SHA-256 of the UTF-8 bytes, 64 hexadecimal digits. It hides nothing that can be guessed.",
        _NULL_IN,
        (node(exp.SHA2, "this", fixed={"length": "256"}),),
    ),
    Function(
        "regexp_matches",
        (
            sig(
                _TEXT,
                Parameter("pattern", constant=constants.regex),
                to=BOOLEAN,
                duckdb="REGEXP_MATCHES(text, pattern)",
                postgres="text ~ pattern",
            ),
        ),
        "Whether the pattern occurs in `text`. Patterns are constants of the part of the syntax that engines read "
        "alike; "
        "`\\d`, `\\w`, `\\s` are ASCII, `.` is anything but a line end.",
        _NULL_IN,
        (node(exp.RegexpLike, "this", "expression"),),
        aliases=("~",),
    ),
    Function(
        "regexp_full_match",
        (
            sig(
                _TEXT,
                Parameter("pattern", constant=constants.whole_regex),
                to=BOOLEAN,
                duckdb="REGEXP_MATCHES(text, pattern)",
                postgres="text ~ pattern",
            ),
        ),
        "Whether the pattern matches all of `text`; patterns as for `regexp_matches`.",
        _NULL_IN,
        (node(exp.RegexpFullMatch, "this", "expression"),),
    ),
)
