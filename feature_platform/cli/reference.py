"""Writes ``docs/reference/cli.md`` from the commands themselves: ``python -m feature_platform.cli.reference FILE``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from feature_platform.cli.main import app

_HEAD = """\
# The `fp` command

<!-- Written by `python -m feature_platform.cli.reference docs/reference/cli.md`; a test holds it to the code. -->

Every command works on the project in the current folder, in `feature_defs` inside it or inside a folder above, or on
the one that `--project` names. Results go to standard output, everything else to standard error. With `--json` the
result is one JSON document, problems included; decimals are strings in it and times ISO 8601.

| exit code | meaning |
|---|---|
| 0 | all is well |
| 1 | problems were found: in definitions, in data, in a store |
| 2 | the command line makes no sense: an unknown option, view or value |

`fp --install-completion` teaches bash, zsh, fish and PowerShell to complete commands and options.
"""


def reference() -> str:
    """The whole page."""
    pages = ("\n".join(_command(name, command)) for name, command in _commands(typer.main.get_command(app)))
    return _HEAD + "\n" + "\n".join(pages)


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its full name, those of groups included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    usage = " ".join(["fp", name, "[OPTIONS]", *(_metavar(argument) for argument in arguments)])
    yield f"## `fp {name}`\n\n{command.help}\n\n```\n{usage}\n```\n"
    yield "| | |\n|---|---|"
    for argument in arguments:
        yield f"| `{_metavar(argument)}` | {_help(argument)} |"
    for option in options:
        yield f"| {', '.join(f'`{opt}`' for opt in [*option.opts, *option.secondary_opts])} | {_help(option)} |"
    yield ""


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    many = "..." if argument.nargs == -1 and not name.endswith("...") else ""
    return f"{name}{many}" if argument.required else f"[{name}{many}]"


def _help(parameter: Any) -> str:
    default = parameter.default
    choices = f" One of {', '.join(f'`{each}`' for each in type(default))}." if isinstance(default, StrEnum) else ""
    shown = parameter.show_default is not False and default not in (None, False)
    return f"{parameter.help}{choices}{f' Default: `{default}`.' if shown else ''}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
