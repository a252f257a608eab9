"""A gateway in this process, and a launcher that plays the processes of jobs, for tests."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
import grpc.aio

from cluster.gateway.config import GatewayConfig, Quotas
from cluster.gateway.core import Core, open_core
from cluster.gateway.folders import Folders
from cluster.gateway.launcher import LaunchState
from cluster.gateway.records import Node
from cluster.gateway.server import Face, Gateway
from cluster.rpc import asset_service_pb2 as assets_pb2
from cluster.worker.events import EventWriter
from cluster.worker.task import Outcome, load_task, save_outcome
from worldloom.stage import Progress


@dataclass
class PlayedJobs:
    """Processes that exist in name; a test moves them on."""

    folders: Folders
    states: dict[str, LaunchState] = field(default_factory=dict[str, LaunchState])
    commands: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])
    variables: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def submit(
        self,
        entrypoint: Sequence[str],
        submission_id: str,
        env: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> str:
        if submission_id not in self.states:
            self.commands.append(tuple(entrypoint))
            self.variables[submission_id] = dict(env)
            self.states[submission_id] = LaunchState.RUNNING
        return submission_id

    def status(self, submission_id: str) -> LaunchState:
        return self.states.get(submission_id, LaunchState.UNKNOWN)

    def stop(self, submission_id: str) -> None:
        self.states[submission_id] = LaunchState.STOPPED

    def logs(self, submission_id: str) -> str:
        return f"log of {submission_id}"

    def nodes(self) -> tuple[Node, ...]:
        return (Node("played", True, 2.0, 0.0),)

    def progress(self, job_id: str, stage: str, done: int, total: int) -> None:
        writer = EventWriter(self.folders.job(job_id))
        writer(Progress(stage, done, total, 0, 0))
        writer.close()

    def end(self, launch_id: str, outcome: Outcome | None) -> None:
        """Ends a process, with an outcome or without a word."""
        folder = self.folders.job(launch_id)
        load_task(folder)
        if outcome is not None:
            save_outcome(outcome, folder)
        ended = outcome is not None and outcome.error is None
        self.states[launch_id] = LaunchState.SUCCEEDED if ended else LaunchState.FAILED


@dataclass(frozen=True)
class Running:
    """A gateway that listens."""

    core: Core
    gateway: Gateway
    address: str
    launcher: PlayedJobs
    channel: grpc.aio.Channel

    def token(self, principal: str = "alice", **options: Any) -> tuple[tuple[str, str], ...]:
        """Metadata with a new token."""
        token = self.core.tokens.create(principal, **options)
        return (("authorization", f"Bearer {token}"),)


@asynccontextmanager
async def running(folder: Path, face: Face | None = None, **config: Any) -> AsyncGenerator[Running]:
    """Runs a gateway on a free port of loopback.

    Args:
        folder: Its data.
        face: Where it listens instead.
        **config: Settings that differ from the usual ones.
    """
    launchers: list[PlayedJobs] = []

    def launcher(folders: Folders) -> PlayedJobs:
        launchers.append(PlayedJobs(folders))
        return launchers[0]

    settings: dict[str, Any] = {"quotas": Quotas(max_bytes=1 << 24), "max_running": 2}
    core = open_core(GatewayConfig(folder, **(settings | config)), launcher)
    gateway = Gateway(core, face or Face("127.0.0.1:0", drain_s=0.2))
    port = await gateway.start()
    address = f"127.0.0.1:{port}"
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            yield Running(core, gateway, address, launchers[0], channel)
        finally:
            await gateway.drain()


def part(name: str, offset: int, data: bytes) -> assets_pb2.UploadPartRequest:
    """A part of an upload with its checksum."""
    return assets_pb2.UploadPartRequest(
        name=name, offset_bytes=offset, data=data, crc32c=google_crc32c.value(data)
    )
