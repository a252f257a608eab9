"""Readers that do what none may; in a module that is quick to import."""

import os
from pathlib import Path


def dies(_: Path) -> None:
    os.abort()


def hangs(_: Path) -> None:
    while True:
        pass


def floods(_: Path) -> None:
    bytearray(4 << 30)


def slips(_: Path) -> None:
    raise KeyError("slip")
