"""What a function of the catalogue is: how a call is recognised, which arguments fit, what comes out, how each engine
says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from sqlglot import exp

from feature_platform.compiler.numeric import Inferred
from feature_platform.types import ENGINES, DataType, Engine, Kind

FunctionForm = Literal["scalar", "aggregate", "window"]
LabelRule = Literal["keep", "aggregated", "derived"]
"""What becomes of the labels of the arguments; see :mod:`feature_platform.compiler.lineage`."""

TEXT: Final[frozenset[Kind]] = frozenset({"string"})
WHOLE: Final[frozenset[Kind]] = frozenset({"int", "bigint"})
EXACT: Final[frozenset[Kind]] = WHOLE | {"decimal"}
NUMBER: Final[frozenset[Kind]] = EXACT | {"double"}
TIME: Final[frozenset[Kind]] = frozenset({"date", "timestamp"})
TRUTH: Final[frozenset[Kind]] = frozenset({"boolean"})
ORDERED: Final[frozenset[Kind]] = NUMBER | TEXT | TIME
SCALAR: Final[frozenset[Kind]] = ORDERED | TRUTH
ARRAY: Final[frozenset[Kind]] = frozenset({"array"})
MAP: Final[frozenset[Kind]] = frozenset({"map"})
JSON_KINDS: Final[frozenset[Kind]] = frozenset({"json"})
NESTED: Final[frozenset[Kind]] = ARRAY | {"struct"}
TEXT_KEYS: Final[frozenset[Kind]] = TEXT | WHOLE | TRUTH | {"date"}
"""Kinds whose values have one text each, by which PostgreSQL finds them in a stored map."""
ANY: Final[frozenset[Kind]] = SCALAR | ARRAY | MAP | JSON_KINDS | {"struct"}


class NotFittingError(Exception):
    """A constant argument is not of the form that the function needs; the message says which form."""


Constant = Callable[[exp.Expr], exp.Expr]
"""Checks an argument that has to be a constant and gives it in normal form. Raises NotFittingError."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument."""

    name: str
    """Its name in the documentation and in the templates."""
    kinds: frozenset[Kind] = ANY
    cast: DataType | None = None
    """Brought to this type before the call, so that templates need not know the caller's."""
    constant: Constant | None = None
    """A constant of this form is needed; ``kinds`` says nothing then."""
    optional: bool = False
    many: bool = False
    """Stands for one or more arguments; only as the last one."""
    stored_keys: frozenset[Kind] | None = None
    """A column is needed that holds stored maps with keys of these kinds, which engines without maps can look into."""


Result = Inferred | Callable[[Sequence[Inferred]], Inferred]


@dataclass(frozen=True, slots=True)
class Signature:
    """One form of a function. Templates are expressions of the engine's own dialect over the parameters' names."""

    parameters: tuple[Parameter, ...]
    result: Result
    templates: Mapping[Engine, str]
    key: str = ""
    """Tells apart signatures of one function that are rendered differently; ``""`` for the first."""
    unify: bool = False
    """All arguments are brought to one type."""
    shown: str = ""
    """The type of the result in words, where it depends on the arguments; default: as the input."""
    settled: bool = False
    """A cast brings the result to its type: the engine's own is another that the platform does not have."""

    def accepts_count(self, count: int) -> bool:
        least = sum(not parameter.optional for parameter in self.parameters)
        most = 10_000 if self.parameters and self.parameters[-1].many else len(self.parameters)
        return least <= count <= most

    def parameter(self, index: int) -> Parameter:
        return self.parameters[min(index, len(self.parameters) - 1)]

    @property
    def text(self) -> str:
        """``text, start, [length]``."""
        shown = []
        for parameter in self.parameters:
            name = f"{parameter.name}, ..." if parameter.many else parameter.name
            shown.append(f"[{name}]" if parameter.optional else name)
        return ", ".join(shown)


@dataclass(frozen=True, slots=True)
class Form:
    """How a call of a function looks in a tree: a node class, the keys of its arguments in the author's order, and
    what else it must have.

    ``ignored`` are keys that the parser sets and that change nothing.
    """

    node: type[exp.Expr]
    keys: tuple[str, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Function:
    """An entry of the catalogue."""

    name: str
    signatures: tuple[Signature, ...]
    doc: str
    nulls: str
    """When the result is NULL, in words."""
    forms: tuple[Form, ...] = ()
    """None: the parser leaves a plain call, recognised by ``name`` and ``aliases``."""
    aliases: tuple[str, ...] = ()
    form: FunctionForm = "scalar"
    labels: LabelRule = "keep"
    tokens: frozenset[int] = frozenset()
    """Arguments (by index) that may be tokens; a token stays one where ``labels`` is ``keep``."""
    ordered: Literal["", "inside", "over"] = ""
    """Needs ORDER BY: inside the parentheses, or in OVER."""
    windowed: bool = True
    """Of an aggregate: may have OVER."""
    distinct: bool = False
    """Of an aggregate: may have DISTINCT."""
    tolerance: bool = False
    """Doubles whose last digits depend on the engine's order of summation or mathematics library."""

    def signature(self, key: str) -> Signature:
        return next(signature for signature in self.signatures if signature.key == key)


def sig(
    *parameters: Parameter,
    to: Result,
    both: str = "",
    key: str = "",
    unify: bool = False,
    shown: str = "",
    **engines: str,
) -> Signature:
    """A signature with one template for ``both`` engines, or one each: ``duckdb="…", postgres="…"``. An engine without
    a template has no form of it."""
    given: dict[Engine, str] = {engine: engines.get(engine, both) for engine in ENGINES}
    templates = {engine: template for engine, template in given.items() if template}
    return Signature(parameters, to, templates, key, unify, shown)


def settled(signature: Signature) -> Signature:
    """The signature with a cast to its type around it; see :attr:`Signature.settled`."""
    return replace(signature, settled=True)


def node(kind: type[exp.Expr], *keys: str, fixed: Mapping[str, str] | None = None, ignored: Sequence[str] = ()) -> Form:
    """A form; see :class:`Form`."""
    return Form(kind, keys, fixed or {}, frozenset(ignored))
