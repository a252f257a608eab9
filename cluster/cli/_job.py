"""`worldloom job`: what became of the jobs of a Ray cluster."""

import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TextIO

import tyro
from rich.table import Table

from cluster.cli._terminal import show, write_json

if TYPE_CHECKING:
    from cluster.jobs import JobReport, RayJobs


@dataclass(frozen=True)
class _Asking:
    """What all of them have in common."""

    address: str | None = None
    """Dashboard of the cluster; None: RAY_API_SERVER_ADDRESS, else http://127.0.0.1:8265."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def jobs(self) -> "RayJobs":
        """Returns the jobs of the cluster."""
        # Ray takes a second to import, which the other commands need not wait for.
        from cluster.cli._cluster_address import jobs_at

        return jobs_at(self.address)


@dataclass(frozen=True)
class _Asked(_Asking):
    """A question about one job."""

    # Without a default in the command line, though one is needed after inherited defaults.
    id: tyro.conf.Positional[str] = tyro.MISSING
    """Id of the job."""


@dataclass(frozen=True)
class Status(_Asked):
    """Shows how far a job is."""

    def run(self, stdout: TextIO) -> None:
        """Runs the command."""
        report = self.jobs().report(self.id)
        if self.json:
            write_json(stdout, _plain(report))
        else:
            stdout.write(f"{report.job}: {report.state}. {report.message}\n")


@dataclass(frozen=True)
class Logs(_Asked):
    """Shows what a job has written."""

    follow: bool = False
    """Go on until the job ends."""

    def run(self, stdout: TextIO) -> None:
        """Runs the command."""
        jobs = self.jobs()
        if self.json:
            write_json(stdout, {"job": self.id, "logs": jobs.logs(self.id)})
        elif not self.follow:
            stdout.write(jobs.logs(self.id))
        else:
            for text in jobs.follow(self.id):
                stdout.write(text)
                stdout.flush()


@dataclass(frozen=True)
class Stop(_Asked):
    """Ends a job; what it finished stays in its store."""

    wait: bool = True
    """Wait until it has ended."""

    def run(self, stdout: TextIO) -> None:
        """Runs the command."""
        jobs = self.jobs()
        ran = jobs.stop(self.id)
        report = jobs.wait(self.id) if self.wait else jobs.report(self.id)
        if self.json:
            write_json(stdout, _plain(report))
        else:
            stdout.write(f"{self.id}: {'' if ran else 'had ended, '}{report.state}\n")


@dataclass(frozen=True)
class List(_Asking):
    """Lists the jobs that the cluster remembers, the latest first."""

    def run(self, stdout: TextIO) -> None:
        """Runs the command."""
        reports = self.jobs().list()
        if self.json:
            write_json(stdout, {"jobs": [_plain(report) for report in reports]})
            return
        table = Table("job", "state", "started", "command", box=None, padding=(0, 2, 0, 0))
        for report in reports:
            table.add_row(report.job, report.state, _time(report.started_s), report.entrypoint)
        show(stdout, table)


Action = (
    Annotated[Status, tyro.conf.subcommand("status")]
    | Annotated[Logs, tyro.conf.subcommand("logs")]
    | Annotated[Stop, tyro.conf.subcommand("stop")]
    | Annotated[List, tyro.conf.subcommand("list")]
)


@dataclass(frozen=True)
class Job:
    """Asks a Ray cluster about the jobs that were submitted to it."""

    action: Annotated[Action, tyro.conf.arg(name="")]

    @property
    def json(self) -> bool:
        """Whether JSON is wanted."""
        return self.action.json

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            JobError: the cluster does not know the job, or does not answer.
        """
        self.action.run(stdout)
        sys.stderr.flush()


def _plain(report: "JobReport") -> dict[str, object]:
    return {
        "job": report.job,
        "state": report.state.value,
        "command": report.entrypoint,
        "message": report.message,
        "started_s": report.started_s,
        "ended_s": report.ended_s,
        "exit_code": report.exit_code,
        "metadata": dict(report.metadata),
    }


def _time(unix_s: float | None) -> str:
    if unix_s is None:
        return ""
    return datetime.fromtimestamp(unix_s).astimezone().isoformat(" ", "seconds")
