"""Keys that are personal, on their way from a caller to the platform: they arrive as tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from feature_platform.errors import GovernanceError
from feature_platform.governance.codes import NO_KEY_OF_VERSION
from feature_platform.governance.tokens import TokenKeys, token_pattern, token_version
from feature_platform.sdk.values import as_type
from feature_platform.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa


def key_token(
    keys: TokenKeys, classification: str, value: Any, kind: DataType, version: int | None = None
) -> str | None:
    """The token of one value, by default with the key that writes; a token of the same classification stays as it is.

    Raises:
        ValueError: the value has another type than ``kind``, or no canonical text, or is a token of a version that the
            ring does not have.
    """
    if value is None:
        return None
    if isinstance(value, str) and (given := token_version(value, classification)) is not None:
        if given not in keys.versions(classification):
            raise ValueError(f"a token of key version {given}, which is not in use")
        return value
    try:
        made: str = keys.token(classification, as_type(value, kind), version)
        return made
    except GovernanceError:
        raise ValueError(f"this is no {classification}") from None


def key_tokens(
    keys: TokenKeys, classification: str, values: pa.Array, versions: Mapping[str, int] | None = None
) -> pa.Array:
    """The tokens of a column with the version that ``versions`` says; tokens among the values stay as they are.

    Raises:
        GovernanceError: FP-GOV-016, tokens of another version are among the values: they would find nobody.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    version = (versions or {}).get(classification) or keys.writing(classification)
    if not pa.types.is_string(values.type):
        return keys.tokens(classification, values, version)
    already = pc.match_substring_regex(values, f"^{token_pattern(classification)}$")
    if not pc.any(already).as_py():
        return keys.tokens(classification, values, version)
    current = pc.starts_with(values, f"tok_{classification}_v{version}_")
    if pc.any(pc.and_(already, pc.invert(current))).as_py():
        raise GovernanceError(
            NO_KEY_OF_VERSION.problem(
                f"tokens of '{classification}' among the given keys are not of version {version}, which the rows have",
                mend="give the keys themselves, or tokens of that version",
            )
        )
    raw = pc.if_else(already, pa.scalar(None, values.type), values)
    return pc.if_else(already, values, keys.tokens(classification, raw, version))
