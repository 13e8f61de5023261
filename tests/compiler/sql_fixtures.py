"""Fixture files of SQL: pairs of input and what comes of it, to be read and reviewed by people.

``python -m tests.compiler.sql_fixtures`` renews what comes of every input; look at the difference before you commit it.

A file has blocks that begin with ``-- title``. The SQL follows; what comes of it stands in comments behind ``--> ``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlglot import exp

from feature_platform.compiler.guard import guard
from feature_platform.compiler.render import render
from feature_platform.errors import FeaturePlatformError, Location
from feature_platform.governance.labels import describe
from feature_platform.governance.transforms import PREFIX
from tests.compiler.sql_catalogs import FRAUD, catalog

FOLDER = Path(__file__).parent / "fixtures"
_MARK = "--> "


@dataclass(frozen=True)
class Block:
    """One case of a fixture file."""

    title: str
    sql: str
    outcome: str

    def __str__(self) -> str:
        marked = "\n".join(f"{_MARK}{line}".rstrip() for line in self.outcome.split("\n"))
        return f"-- {self.title}\n{self.sql}\n{marked}\n"


def read(name: str) -> list[Block]:
    """The blocks of a file."""
    return list(_blocks((FOLDER / name).read_text()))


def _blocks(text: str) -> Iterator[Block]:
    for part in ("\n" + text).split("\n-- ")[1:]:
        title, *lines = part.rstrip("\n").split("\n")
        sql = [line for line in lines if not line.startswith(_MARK.rstrip())]
        outcome = [
            line.removeprefix(_MARK.rstrip()).removeprefix(" ") for line in lines if line.startswith(_MARK.rstrip())
        ]
        yield Block(title, "\n".join(sql).strip("\n"), "\n".join(outcome))


def refusal(sql: str) -> str:
    """Every problem of a query with its place in the query; ``compiles`` if there is none."""
    try:
        guard(sql, catalog(), FRAUD, where=Location("query.sql"))
    except FeaturePlatformError as error:
        return "\n".join(
            f"{problem.where.line}:{problem.where.column} {problem.code} {problem.what}\nmend: {problem.mend}"
            for problem in error.problems
            if problem.where is not None
        )
    return "compiles"


def compilation(sql: str) -> str:
    """The guarded SQL of every engine that can run it, and the columns with types, labels and lineage."""
    query = guard(sql, catalog(), FRAUD, where=Location("query.sql"))
    tree = query.tree.copy()
    for call in tree.find_all(exp.Anonymous):
        if str(call.this).startswith(PREFIX):  # left as they are: what becomes of them is governance's matter
            call.set("this", f"governed_{call.this.removeprefix(PREFIX)}")
    parts = [f"{engine}:\n{render(tree, engine, pretty=True)}" for engine in query.engines]
    lines = []
    for column in query.columns:
        direct = " ".join(sorted(map(str, column.direct))) or "-"
        indirect = " ".join(sorted(map(str, column.indirect))) or "-"
        lines.append(f"{column.name} {column.type} {describe(column.labels)} | direct {direct} | indirect {indirect}")
    return "\n".join([*parts, "columns:", *lines])


FILES: dict[str, Callable[[str], str]] = {
    "refused.sql": refusal,
    "compiled.sql": compilation,
    "relations.sql": compilation,
}


def renew() -> None:
    """Writes every file anew with what comes of its inputs now."""
    for name, outcome_of in FILES.items():
        blocks = [Block(block.title, block.sql, outcome_of(block.sql)) for block in read(name)]
        (FOLDER / name).write_text("\n".join(map(str, blocks)))


if __name__ == "__main__":
    renew()
