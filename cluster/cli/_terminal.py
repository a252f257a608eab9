"""Where the words of the command go: results to stdout, everything else to stderr."""

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

from rich.console import Console, RenderableType

from worldloom.codec import to_json


@contextmanager
def stdout_kept_clean() -> Generator[TextIO]:
    """Sends what anything prints to stderr, native libraries and child processes included.

    Yields:
        The stream that still leads to the true stdout.
    """
    sys.stdout.flush()
    kept_fd = os.dup(1)
    stream = os.fdopen(kept_fd, "w", encoding="utf-8", closefd=True)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield stream
    finally:
        stream.flush()
        os.dup2(kept_fd, 1)
        stream.close()


def write_json(stream: TextIO, content: Mapping[str, object]) -> None:
    """Writes one JSON object; dataclasses are welcome."""
    stream.write(to_json(content, indent=2).decode() + "\n")


def show(stream: TextIO, *parts: RenderableType) -> None:
    """Writes tables and text."""
    console = Console(file=stream, highlight=False, soft_wrap=True)
    for part in parts:
        console.print(part, markup=False)
