"""The suite of foreign readers: no part of `make test`; it ends with a table of what they said."""

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from worldloom.export import CLOUD_FORMATS, MESH_FORMATS, SPLAT_FORMATS

HERE = Path(__file__).resolve().parent
HOME = HERE.parent.parent / ".interop"
HEADS = {
    "one page": "textured, one page",
    "two pages": "textured, two pages",
    "colours": "vertex colours",
    "baked": "baked room",
}
START, END = "<!-- readers: written by make interop -->", "<!-- end of readers -->"
Report = Callable[[str, str, str, str], None]
_KEY = pytest.StashKey[dict[tuple[str, str], dict[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--table", type=Path, help="page whose table of readers is replaced by that of this run"
    )
    parser.addoption(
        "--pictures", type=Path, help="folder for a picture of each mesh, drawn by Blender"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves these tests out where they are not named: `pytest tests` is what pip alone can do."""
    named = any("interop" in Path(argument.split("::")[0]).parts for argument in config.args)
    return None if named else True


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEY] = defaultdict(dict)


@pytest.fixture(scope="session")
def home() -> Path:
    """Folder of the readers that `deploy/interop.sh` got."""
    if not (HOME / ".ready").is_file():
        pytest.fail("the foreign readers are not there; run make interop, which gets them")
    return HOME


@pytest.fixture
def report(pytestconfig: pytest.Config) -> Report:
    """Notes what a reader said of an export: format, reader, look, text."""

    def note(kind: str, reader: str, look: str, text: str) -> None:
        pytestconfig.stash[_KEY][kind, reader][look] = text

    return note


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    notes = config.stash[_KEY]
    if not notes:
        return
    table = _table(notes)
    terminalreporter.write_line(table)
    page: Path | None = config.getoption("--table")
    if page is None:
        return
    if exitstatus != 0:
        terminalreporter.write_line(f"{page} keeps its table, as not all readers agree")
        return
    text = page.read_text()
    head, _, rest = text.partition(START)
    _, _, tail = rest.partition(END)
    temporary = page.with_suffix(".tmp")
    temporary.write_text(f"{head}{START}\n{table}{END}{tail}")
    os.replace(temporary, page)


def _table(notes: dict[tuple[str, str], dict[str, str]]) -> str:
    meshes = [
        f"| mesh | reader | {' | '.join(HEADS.values())} |",
        f"|---|---{'|---' * len(HEADS)}|",
    ]
    clouds = ["| cloud | reader | what it found |", "|---|---|---|"]
    splats = ["| splats | reader | what it found |", "|---|---|---|"]
    order = {
        kind: number for number, kind in enumerate((*MESH_FORMATS, *CLOUD_FORMATS, *SPLAT_FORMATS))
    }
    for (kind, reader), said in sorted(notes.items(), key=lambda item: order[item[0][0]]):
        if "points" in said:
            clouds.append(f"| {kind} | {reader} | {said['points']} |")
        if "splats" in said:
            splats.append(f"| {kind} | {reader} | {said['splats']} |")
        if said.keys() & HEADS.keys():
            cells = " | ".join(said.get(look, "not read") for look in HEADS)
            meshes.append(f"| {kind} | {reader} | {cells} |")
    return "\n".join(["", *meshes, "", *clouds, "", *splats, "", ""])
