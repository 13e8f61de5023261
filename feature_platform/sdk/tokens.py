"""Keys that are personal, on their way from a caller to the platform: they arrive as tokens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from feature_platform.errors import GovernanceError
from feature_platform.governance.tokens import TokenKeys, token_pattern
from feature_platform.sdk.values import as_type
from feature_platform.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa


def key_token(keys: TokenKeys, classification: str, value: Any, kind: DataType) -> str | None:
    """The token of one value; a token of the same classification stays as it is.

    Raises:
        ValueError: the value has another type than ``kind``, or no canonical text.
    """
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(token_pattern(classification), value):
        return value
    try:
        made: str = keys.token(classification, as_type(value, kind))
        return made
    except GovernanceError:
        raise ValueError(f"this is no {classification}") from None


def key_tokens(keys: TokenKeys, classification: str, values: pa.Array) -> pa.Array:
    """The tokens of a column; tokens of the same classification among the values stay as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(values.type):
        return keys.tokens(classification, values)
    already = pc.match_substring_regex(values, f"^{token_pattern(classification)}$")
    if not pc.any(already).as_py():
        return keys.tokens(classification, values)
    raw = pc.if_else(already, pa.scalar(None, values.type), values)
    return pc.if_else(already, values, keys.tokens(classification, raw))
