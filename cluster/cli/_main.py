"""Entry of the command: from words to an exit code."""

import logging
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, NoReturn

import tyro

from cluster.cli._arguments import UsageError, parse
from cluster.cli._demo import Demo
from cluster.cli._export import Export
from cluster.cli._info import Info
from cluster.cli._job import Job
from cluster.cli._logs import say, start_text
from cluster.cli._metrics import Metrics
from cluster.cli._panorama import Panoramas
from cluster.cli._reconstruct import Reconstruct
from cluster.cli._refine import Refine
from cluster.cli._remote import Remote
from cluster.cli._render import Render
from cluster.cli._report import Report
from cluster.cli._serve import Serve
from cluster.cli._submit import Submit
from cluster.cli._terminal import stdout_kept_clean, write_json
from cluster.cli._tokens import TokenAdmin
from cluster.cli._view import View
from worldloom.errors import ConfigError, WorldloomError

PROG = "worldloom"
OK, FAILED, USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

Command = (
    Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")]
    | Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Refine, tyro.conf.subcommand("refine")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Metrics, tyro.conf.subcommand("metrics")]
    | Annotated[Panoramas, tyro.conf.subcommand("panorama")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[View, tyro.conf.subcommand("view")]
    | Annotated[Serve, tyro.conf.subcommand("serve")]
    | Annotated[Remote, tyro.conf.subcommand("remote")]
    | Annotated[TokenAdmin, tyro.conf.subcommand("tokens")]
    | Annotated[Submit, tyro.conf.subcommand("submit")]
    | Annotated[Job, tyro.conf.subcommand("job")]
)


def main() -> None:
    """Runs the command line of this process and exits."""
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command.

    Args:
        arguments: Words after the name of the program.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong arguments, 130 interrupted.
    """
    start_text()
    try:
        command = parse(Command, PROG, arguments)  # pyright: ignore[reportArgumentType]
    except UsageError as error:
        return _say(USAGE, f"{error}; for help: {PROG} --help")
    with stdout_kept_clean() as stdout:
        try:
            command.run(stdout)
        except WorldloomError as error:
            if command.json:
                write_json(stdout, {"error": {"type": type(error).__name__, "message": str(error)}})
            return _say(USAGE if isinstance(error, ConfigError) else FAILED, str(error))
        except KeyboardInterrupt:
            return _say(INTERRUPTED, "interrupted; what is finished is kept, run again to resume")
    return OK


def _say(code: int, text: str) -> int:
    say(logging.ERROR, text, PROG)
    return code


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)
