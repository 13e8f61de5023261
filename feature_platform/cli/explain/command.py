"""``fp explain CODE``."""

from __future__ import annotations

from typing import Annotated

import typer

from feature_platform.cli.codes import UNKNOWN_NAME
from feature_platform.cli.options import JsonOption
from feature_platform.cli.screen import Screen, standard_output
from feature_platform.cli.session import reporting
from feature_platform.errors import Code, UsageError, did_you_mean


def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="An error's code, such as FP-SQL-020 or sql-20.")],
    json: JsonOption = False,
) -> None:
    """Explain an error: what it means, an example, what to do."""
    screen = Screen(json)
    with reporting(screen):
        from rich.markdown import Markdown
        from rich.text import Text

        from feature_platform.cli.explain.pages import error_page

        found = _known(code)
        page = error_page(found)
        screen.show(
            {"code": found.id, "title": found.title, "explanation": found.explanation, "page": page},
            lambda: [Markdown(page) if standard_output().is_terminal else Text(page)],
        )


def _known(written: str) -> Code:
    from feature_platform.cli.explain.catalogue import all_codes

    codes = all_codes()
    parts = written.upper().removeprefix("FP-").split("-")
    full = f"FP-{parts[0]}-{parts[-1].zfill(3)}"
    if full not in codes:
        raise UsageError(
            UNKNOWN_NAME.problem(
                f"there is no error '{written}'.{did_you_mean(full, codes)}",
                mend="write it as it stands in the message; docs/reference/errors.md lists all",
            )
        )
    return codes[full]
