from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from cluster.cli._arguments import UsageError, line_from_box, parse
from worldloom.errors import ConfigError


@dataclass(frozen=True)
class Make:
    """Makes it."""

    inputs: tyro.conf.Positional[tuple[Path, ...]]
    """What to take."""
    out: Path
    """Where to put it."""
    method: Literal["mvs"] = "mvs"
    """How."""
    resolution: int = 512
    """Size."""

    def __post_init__(self) -> None:
        if self.resolution < 64:
            raise ConfigError(f"resolution must be at least 64, got {self.resolution}")


@dataclass(frozen=True)
class Look:
    """Looks at it."""

    folder: tyro.conf.Positional[Path]
    """What to look at."""


Command = (
    Annotated[Make, tyro.conf.subcommand("make")] | Annotated[Look, tyro.conf.subcommand("look")]
)


def test_arguments_become_the_command():
    words = ["make", "a.mp4", "b.mp4", "--out", "c", "--resolution", "640"]
    assert parse(Command, "loom", words) == Make(
        (Path("a.mp4"), Path("b.mp4")), Path("c"), resolution=640
    )


@pytest.mark.parametrize("columns", ["30", "80", "300"])
@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ([], ["make", "look"]),
        (["mkae"], ["mkae", "make", "look"]),
        (["make", "a.mp4"], ["Missing from loom make: --out"]),
        (["make", "a.mp4", "--out"], ["Missing value", "--out"]),
        (["make", "a.mp4", "--out", "c", "--method", "magic"], ["magic", "--method", "mvs"]),
        (["make", "a.mp4", "--out", "c", "--resolution", "big"], ["--resolution", "big"]),
        (["make", "a.mp4", "--out", "c", "--resoluton", "9"], ["--resoluton", "--resolution INT"]),
        (["make", "--out", "c", "--resolution", "9"], ["resolution must be at least 64, got 9"]),
        (["look"], ["Missing from loom look:"]),
        (["look", "a", "b"], ["b"]),
    ],
)
def test_wrong_arguments_are_one_line_that_names_them(
    words: list[str],
    parts: list[str],
    columns: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(UsageError) as raised:
        parse(Command, "loom", words)
    line = str(raised.value)
    assert all(part in line for part in parts), line
    assert "\n" not in line
    assert not set("╭╮╰╯│─") & set(line)
    assert capfd.readouterr() == ("", "")


def test_help_goes_to_stdout_and_exits_with_0(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as raised:
        parse(Command, "loom", ["make", "--help"])
    assert raised.value.code in (0, None)
    captured = capfd.readouterr()
    assert "Where to put it." in captured.out
    assert captured.err == ""


def test_a_box_without_content_leaves_its_title():
    assert line_from_box("╭─ Parsing error ─╮\n│ ─── │\n╰───╯") == "Parsing error"
