"""Lengths of time as authors write them: ``90s``, ``12h``, ``30d``, ``2w``, and ``all`` for a window without start."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PATTERN: Final = r"^[1-9][0-9]{0,6}[smhdw]$"


@dataclass(frozen=True, slots=True)
class Duration:
    """A positive length of time; ``text`` as the author wrote it (it names features), ``microseconds`` its value.

    A day is 86,400 seconds, always.

    >>> Duration.parse("12h").microseconds
    43200000000
    """

    text: str
    microseconds: int

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Raises ValueError when ``text`` is not a number followed by one of ``s m h d w``."""
        if not re.fullmatch(_PATTERN, text):
            raise ValueError(f"'{text}' is not a duration; write a number and a unit: 90s, 5m, 12h, 30d, 2w")
        return cls(text, int(text[:-1]) * _UNITS[text[-1]] * 1_000_000)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def _validate(cls, value: Any) -> Duration:
        if isinstance(value, cls):
            return value
        try:
            if isinstance(value, str):
                return cls.parse(value)
        except ValueError:
            pass
        what = f"'{value[:40]}' is not a duration" if isinstance(value, str) else "a duration is text such as 30d"
        mend = "Write a whole number above 0 and a unit: 90s, 5m, 12h, 30d, 2w."
        raise PydanticCustomError("fault", "{what}", {"what": what, "mend": mend})

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": _PATTERN, "examples": ["5m", "12h", "30d"]}


ALL: Final = Duration("all", 0)
"""The window without start. Its ``microseconds`` say nothing; compare with ``is_all``."""


def is_all(window: Duration) -> bool:
    """Whether ``window`` is the lifetime window."""
    return window.text == "all"
