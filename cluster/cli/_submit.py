"""`worldloom submit`: a command of ours as a job of a Ray cluster."""

import importlib.metadata
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import tyro

from cluster.cli._terminal import write_json
from worldloom.errors import ConfigError, JobError

if TYPE_CHECKING:
    from cluster.jobs import JobReport, RayJobs

SUBMITTED = ("reconstruct", "panorama", "demo", "refine", "export", "metrics", "report")
"""Commands that make something and end."""
Ship = Literal["auto", "yes", "no"]


@dataclass(frozen=True)
class Submit:
    """Runs a command on a Ray cluster, as a job that goes on when you leave.

    Words after `--` are the command: `worldloom submit --address http://HEAD:8265 -- reconstruct
    /data/walk.mp4 --out /data/walk`. Its paths are those of the cluster. Submitting again with
    the same --id is harmless: it finds the first job.
    """

    command: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="COMMAND")]
    """The command and its flags, after `--`."""
    address: str | None = None
    """Dashboard of the cluster; None: RAY_API_SERVER_ADDRESS, else http://127.0.0.1:8265."""
    id: str | None = None
    """Name of the job; None: a new one."""
    wait: bool = True
    """Show its log until it ends; the exit code is 0 only if it succeeded. Ctrl-C leaves the job
    running."""
    env: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    """Environment of the job."""
    ship: Ship = "auto"
    """Bring our packages along; auto: where the cluster does not have this version installed. yes
    brings a changed checkout."""
    json: bool = False
    """Write one JSON object to stdout, and nothing else."""

    def __post_init__(self) -> None:
        if not self.command or self.command[0] not in SUBMITTED:
            raise ConfigError(
                f"give what to run after --, beginning with one of {', '.join(SUBMITTED)}",
                field="command",
            )
        self.environment()

    def environment(self) -> dict[str, str]:
        """Returns the environment of the job.

        Raises:
            ConfigError: an entry is not NAME=VALUE.
        """
        pairs = [entry.partition("=") for entry in self.env]
        for (name, sign, _), entry in zip(pairs, self.env, strict=True):
            if not name or not sign:
                raise ConfigError(f"--env is {entry}; give NAME=VALUE", field="env")
        return {name: value for name, _, value in pairs}

    def run(self, stdout: TextIO) -> None:
        """Runs the command.

        Raises:
            JobError: the cluster does not take the job, or with --wait the job did not succeed.
        """
        # Ray takes a second to import, which the other commands need not wait for.
        from cluster.cli._cluster_address import jobs_at

        jobs = jobs_at(self.address)
        job = self.id or f"worldloom-{uuid.uuid4().hex[:12]}"
        jobs.submit(
            ["python", "-m", "cluster", *self.command],
            job,
            self.environment(),
            {"worldloom": _our_version() or "not installed"},
            packages=() if jobs.knows(job) else self._packages(jobs),
        )
        leave = f"worldloom job stop {job} --address {jobs.address}"
        sys.stderr.write(f"job {job} at {jobs.address}; to end it: {leave}\n")
        report = self._watched(jobs, job) if self.wait else jobs.report(job)
        if self.json:
            write_json(stdout, {"job": job, "address": jobs.address, "state": report.state.value})
        else:
            stdout.write(f"{job}: {report.state}\n")
        if self.wait and report.state != "succeeded":
            reason = report.message.partition(", last available logs")[0]
            raise JobError(f"job {job} {report.state}: {reason}", job=job)

    def _watched(self, jobs: "RayJobs", job: str) -> "JobReport":
        for text in jobs.follow(job):
            sys.stderr.write(text)
            sys.stderr.flush()
        return jobs.wait(job)

    def _packages(self, jobs: "RayJobs") -> tuple[Path, ...]:
        from cluster.jobs import our_packages, version_there

        ours = _our_version()
        if self.ship == "no":
            return ()
        if self.ship == "auto" and ours is not None and version_there(jobs) == ours:
            return ()
        sys.stderr.write(f"bringing worldloom {ours or 'of this checkout'} along\n")
        return our_packages()


def _our_version() -> str | None:
    """Returns the version that is installed here; None for a checkout that is not."""
    try:
        return importlib.metadata.version("worldloom")
    except importlib.metadata.PackageNotFoundError:
        return None
