"""From the command line to a command: wrong arguments become one line."""

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import TypeVar

import tyro

from worldloom.errors import ConfigError

C = TypeVar("C")
_SIDES = "│| \n"
_RULE = "╭╮╰╯─+- "
_SKIPPED = ("For full helptext", "Argument helptext")


class UsageError(Exception):
    """Arguments that make no command; the text is one line for the user."""


def parse(kind: type[C], prog: str, arguments: Sequence[str]) -> C:
    """Returns the command that the arguments describe.

    `--help` is printed by tyro, which then exits with 0.

    Args:
        kind: Union of dataclasses, one a subcommand.
        prog: Name of the program.
        arguments: Words after the name of the program.

    Raises:
        UsageError: they describe none.
    """
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(kind, prog=prog, args=list(arguments))
    except SystemExit as stop:
        if stop.code != 2:
            sys.stderr.write(errors.getvalue())
            raise
        raise UsageError(line_from_box(errors.getvalue())) from None
    except ConfigError as error:
        raise UsageError(str(error)) from None


def line_from_box(box: str) -> str:
    """Returns the message that tyro drew as a box, in one line.

    Args:
        box: Lines in a frame, with rules between the sections. The first line is the title; the
            first section says what is wrong, and a second one may say what to do.
    """
    title, *lines = [line.strip(_SIDES) for line in box.splitlines()]
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.strip(_RULE):
            sections[-1].append(line)
        else:
            sections.append([])
    told = [" ".join(section) for section in sections if section]
    told = [text for text in told if not text.startswith(_SKIPPED)]
    return "; ".join(told).removesuffix(".") or title.strip(_RULE)
