"""A few shapes as SVG, readable on light and on dark pages: each picture brings its own ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.sax.saxutils import escape

WIDTH: Final = 760
"""Of every picture, in pixels."""

# In the order of _NAMES. Text has a contrast of at least 4.5 on its ground.
_LIGHT: Final = ("#ffffff", "#1f2933", "#586574", "#dbe9fb", "#1f6fd6", "#b35900", "#f3e3c4")
_DARK: Final = ("#161b22", "#e6edf3", "#9aa7b4", "#1d3a5f", "#58a6ff", "#f0a045", "#4a3a1c")
_CLASSES: Final = """\
.ground{fill:%s}.ink{fill:%s}.quiet{fill:%s}.window{fill:%s}.counts{fill:%s}.held{fill:%s}.more{fill:%s}"""
_STROKES: Final = """\
.line{stroke:%(ink)s}.faint{stroke:%(quiet)s}.out{fill:%(ground)s;stroke:%(quiet)s}.now{stroke:%(held)s}
.late{fill:%(ground)s;stroke:%(held)s;stroke-dasharray:3 2}.on{fill:%(ground)s}.edge{stroke:%(counts)s}"""
_NAMES: Final = ("ground", "ink", "quiet", "window", "counts", "held", "more")


def _styles(colours: Sequence[str]) -> str:
    return _CLASSES % tuple(colours) + _STROKES % dict(zip(_NAMES, colours, strict=True))


STYLE: Final = (
    "text{font:13px ui-sans-serif,system-ui,'Segoe UI','DejaVu Sans',sans-serif}"
    ".b{font-weight:600}.s{font-size:12px}.m{text-anchor:middle}.e{text-anchor:end}"
    + _styles(_LIGHT)
    + "@media(prefers-color-scheme:dark){"
    + _styles(_DARK)
    + "}"
)


@dataclass
class Picture:
    """Shapes in the order in which they are painted."""

    title: str
    height: float
    shapes: list[str] = field(default_factory=list)

    def rectangle(self, x: float, y: float, width: float, height: float, kind: str, *, round: float = 0) -> None:  # noqa: A002
        corner = f' rx="{_number(round)}"' if round else ""
        self.shapes.append(
            f'<rect x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
            f'{corner} class="{kind}"/>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str, *, dashed: bool = False) -> None:
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        at = f'x1="{_number(x1)}" y1="{_number(y1)}" x2="{_number(x2)}" y2="{_number(y2)}"'
        self.shapes.append(f'<line {at} class="{kind}"{dash}/>')

    def circle(self, x: float, y: float, radius: float, kind: str) -> None:
        self.shapes.append(f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}" class="{kind}"/>')

    def arrow(self, x1: float, x2: float, y: float, kind: str) -> None:
        """To the right, with a small head."""
        self.line(x1, y, x2, y, kind)
        self.line(x2 - 5, y - 4, x2, y, kind)
        self.line(x2 - 5, y + 4, x2, y, kind)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        kind: str = "ink",
        *,
        anchor: Literal["start", "middle", "end"] = "start",
        bold: bool = False,
        small: bool = False,
    ) -> None:
        marks = {"start": "", "middle": " m", "end": " e"}[anchor] + (" b" if bold else "") + (" s" if small else "")
        self.shapes.append(f'<text x="{_number(x)}" y="{_number(y)}" class="{kind}{marks}">{escape(words)}</text>')

    def render(self) -> str:
        height = _number(self.height)
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
                f' width="{WIDTH}" height="{height}">',
                f"<title>{escape(self.title)}</title>",
                f"<style>{STYLE}</style>",
                f'<rect width="{WIDTH}" height="{height}" rx="8" class="ground"/>',
                *self.shapes,
                "</svg>\n",
            ]
        )


def _number(value: float) -> str:
    """At most one decimal: the same text on every machine."""
    return f"{value:.1f}".removesuffix(".0")
