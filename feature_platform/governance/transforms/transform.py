"""What a governed transform is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlglot import exp

from feature_platform.governance.labels import Label, LabelKind
from feature_platform.governance.tokens import TOKEN_FORM
from feature_platform.governance.transforms.doris import in_doris
from feature_platform.types import ENGINES, DataType, Engine, Kind

Rendering = Callable[[Engine, Sequence[exp.Expression]], exp.Expression]
"""(engine, arguments) → expression; arguments are copied, never put in as they are."""

DIALECTS: Final[tuple[Engine, ...]] = (*ENGINES, "doris")
"""What a transform can be said in."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument besides the classified column; it has to be clean."""

    name: str
    kinds: frozenset[Kind]


@dataclass(frozen=True, slots=True)
class Transform:
    """A function of one classified column (and clean arguments) whose result a policy may let out.

    It is total: NULL gives NULL, what is malformed gives NULL, nothing raises. ``expression`` and ``python`` give
    equal results on every engine. ``version`` rises when results change.
    """

    name: str
    version: int
    accepts: frozenset[str]
    """Classifications that the first argument may have."""
    column_kinds: frozenset[Kind]
    """Types that the first argument may have."""
    result: DataType
    label: LabelKind
    description: str
    """One sentence: what it gives, and NULL when."""
    render: Rendering
    reference: Callable[..., Any] | None
    """None only for ``token``, which needs a key: see :class:`~feature_platform.governance.tokens.TokenKeys`."""
    arguments: tuple[Argument, ...] = ()
    resembles: frozenset[str] = frozenset()
    """Classifications that detection may see in its results: a network looks like an address."""
    example: tuple[str, str] = ("", "")
    """A call as an author writes it with a made-up value, and its result; for the docs, and tested."""

    @property
    def signature(self) -> str:
        """``age_years(column, at)``."""
        return f"{self.name}({', '.join(('column', *(argument.name for argument in self.arguments)))})"

    def expression(self, engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
        """The engine's expression for a call with these arguments: the column first, then ``arguments``.

        Raises:
            ValueError: the number of arguments is wrong. The compiler checks it with a message for the author first.
        """
        if len(args) != 1 + len(self.arguments):
            raise ValueError(f"{self.signature} got {len(args)} arguments")
        if engine == "doris":
            return in_doris(partial(self.render, "duckdb"), args)
        return self.render(engine, args)

    def python(self, *args: Any) -> Any:
        """The reference: the value that every engine gives.

        Raises:
            TypeError: the transform is keyed, so a function of the value alone does not exist.
        """
        if self.reference is None:
            raise TypeError(f"{self.name} needs a key; use TokenKeys.token")
        return self.reference(*args)

    def labels(self, classification: str) -> frozenset[Label]:
        """What the result carries when the column is of ``classification``."""
        forms = {"token": TOKEN_FORM, "partial": self.name}
        return frozenset({Label(self.label, classification, forms.get(self.label, ""))})
