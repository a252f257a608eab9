"""Runs the queue: starts jobs, follows their processes, records how they end."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from cluster.gateway.assets import Assets
from cluster.gateway.config import GatewayConfig
from cluster.gateway.database import Database
from cluster.gateway.ending import Ending, record_end
from cluster.gateway.events import EventHub, append_events
from cluster.gateway.folders import Folders
from cluster.gateway.jobs import change_state
from cluster.gateway.launcher import JobLauncher
from cluster.gateway.queue import Waiting, next_jobs
from cluster.gateway.queue_numbers import ACTIVE_STATES
from cluster.gateway.records import EventContent, JobFault, State, encoded
from cluster.gateway.specs import spec_from_text
from cluster.gateway.status import fault_of
from cluster.gateway.tables import ASSETS, JOBS
from cluster.tracing import PARENT_VARIABLE
from cluster.worker.events import EventsRead, read_events
from cluster.worker.task import Outcome, TaskError, load_outcome
from worldloom.errors import InputError, WorldloomError
from worldloom.export import load_manifest

_logger = logging.getLogger(__name__)
_TICK_S = 0.25
_LEASE_S = 30.0
_SWEEP_S = 60.0

ENTRYPOINT = ("python", "-m", "cluster.worker")


class Supervisor:
    """Runs jobs; what it knows is in the database, so that another may go on with it.

    Each job belongs to one gateway, which renews its lease; when that runs out, another takes over.

    Args:
        database: Where the jobs are.
        config: How many may run.
        hub: Told of new events.
        assets: Where results go.
        folders: Of jobs and scenes.
        launcher: Starts processes.
        gateway: Name of this gateway, the same after a restart where nobody else uses the database.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        config: GatewayConfig,
        hub: EventHub,
        assets: Assets,
        folders: Folders,
        launcher: JobLauncher,
        gateway: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._config = config
        self._hub = hub
        self._assets = assets
        self._folders = folders
        self._launcher = launcher
        self._gateway = gateway
        self._clock = clock
        self._wake = asyncio.Event()
        self._closed = False
        self._swept_s = 0.0

    def wake(self) -> None:
        """Says that there is something to do."""
        self._wake.set()

    def close(self) -> None:
        """Ends `run`; jobs go on."""
        self._closed = True
        self._wake.set()

    async def run(self) -> None:
        """Works until it is closed. What fails is logged and tried again with the next round."""
        while not self._closed:
            self._wake.clear()
            try:
                await self.tick()
            except (WorldloomError, SQLAlchemyError, OSError):
                _logger.exception("a round of the queue failed; the next one tries again")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _TICK_S)

    async def tick(self) -> None:
        """Does what there is to do."""
        await self._start_waiting()
        for row in await self._database.read(self._active):
            if not await self._holds(row):
                continue
            try:
                await self._follow(row)
            except (WorldloomError, OSError) as error:
                # Of this job alone: the cluster does not answer, or the disk is full.
                _logger.warning("job %s: %s; tried again", row["id"], error)
        if self._clock() - self._swept_s > _SWEEP_S:
            self._swept_s = self._clock()
            await self._assets.sweep()

    async def _start_waiting(self) -> None:
        chosen = await self._database.read(self._choose)
        if chosen:
            started = await self._database.write(self._claim)
            for job_id in started:
                self._hub.notify(job_id)

    def _choose(self, connection: Connection) -> tuple[str, ...]:
        running = connection.scalars(
            select(JOBS.c.principal).where(JOBS.c.state.in_(ACTIVE_STATES))
        ).all()
        slots = self._config.max_running - len(running)
        if slots < 1:
            return ()
        query = select(JOBS.c.id, JOBS.c.principal, JOBS.c.priority).where(
            JOBS.c.state == State.QUEUED
        )
        waiting = [Waiting(*row) for row in connection.execute(query)]
        return next_jobs(waiting, running, slots)

    def _claim(self, connection: Connection) -> tuple[str, ...]:
        chosen = self._choose(connection)
        now_s = self._clock()
        for job_id in chosen:
            change_state(
                connection,
                job_id,
                State.RUNNING,
                now_s,
                start_s=now_s,
                attempts=1,
                attempt_s=None,
                gateway=self._gateway,
                lease_s=now_s + _LEASE_S,
            )
        return chosen

    def _active(self, connection: Connection) -> list[dict[str, Any]]:
        query = (
            select(JOBS)
            .where(JOBS.c.state.in_(ACTIVE_STATES))
            .where(or_(JOBS.c.gateway == self._gateway, JOBS.c.lease_s < self._clock()))
            .order_by(JOBS.c.id)
        )
        return [dict(row) for row in connection.execute(query).mappings()]

    async def _holds(self, row: dict[str, Any]) -> bool:
        """Whether a job is ours, its lease renewed where that is due."""
        if row["gateway"] == self._gateway and row["lease_s"] - self._clock() > _LEASE_S / 2:
            return True
        return await self._database.write(lambda connection: self._lease(connection, row["id"]))

    def _lease(self, connection: Connection, job_id: str) -> bool:
        """Takes or renews a job; False where another was quicker."""
        now_s = self._clock()
        change = (
            update(JOBS)
            .where(JOBS.c.id == job_id)
            .where(or_(JOBS.c.gateway == self._gateway, JOBS.c.lease_s < now_s))
            .values(gateway=self._gateway, lease_s=now_s + _LEASE_S)
        )
        return connection.execute(change).rowcount == 1

    async def _follow(self, row: dict[str, Any]) -> None:
        job_id, state = row["id"], State(row["state"])
        launch_id = job_id if row["attempts"] == 1 else f"{job_id}-{row['attempts']}"
        if row["attempt_s"] is None:
            if state is State.CANCELLING:
                await self._end(row, Ending(State.CANCELLED))
                return
            await self._launch(row, launch_id)
            return
        if state is State.CANCELLING:
            await asyncio.to_thread(self._launcher.stop, launch_id)
        # Asked before the events are read: what it wrote before its end is all there then.
        status = await asyncio.to_thread(self._launcher.status, launch_id)
        while await self._take_events(row):
            pass
        if not status.has_ended:
            return
        outcome = await asyncio.to_thread(load_outcome, self._folders.job(job_id))
        if outcome is not None:
            await self._end_with(row, outcome)
        elif state is State.CANCELLING:
            await self._end(row, Ending(State.CANCELLED))
        else:
            await self._retry(row, launch_id)

    async def _launch(self, row: dict[str, Any], launch_id: str) -> None:
        try:
            spec = spec_from_text(row["spec"])
        except InputError as error:
            # It will never be readable; tried again it would hold a place in the queue for ever.
            fault = fault_of(TaskError(type(error).__name__, error.message))
            await self._end(row, Ending(State.FAILED, fault=fault))
            return
        names = await self._database.read(lambda connection: _names(connection, spec.assets))
        folder = await asyncio.to_thread(self._folders.prepare, row["id"], spec, names)
        command = (*ENTRYPOINT, str(folder.resolve()))
        metadata = {"worldloom-job": row["id"], "worldloom-principal": row["principal"]}
        env = {} if row["trace"] is None else {PARENT_VARIABLE: row["trace"]}
        await asyncio.to_thread(self._launcher.submit, command, launch_id, env, metadata)
        now_s = self._clock()
        change = update(JOBS).where(JOBS.c.id == row["id"]).values(attempt_s=now_s)
        await self._database.write(lambda connection: connection.execute(change))

    async def _take_events(self, row: dict[str, Any]) -> bool:
        """Takes over new events of the process; True where there may be more."""
        folder = self._folders.job(row["id"])
        found = await asyncio.to_thread(read_events, folder, row["events_offset"])
        if found.offset == row["events_offset"]:
            return False
        await self._database.write(lambda connection: _keep_events(connection, row["id"], found))
        row["events_offset"] = found.offset
        self._hub.notify(row["id"])
        return True

    async def _end_with(self, row: dict[str, Any], outcome: Outcome) -> None:
        """Ends a job as its process says."""
        if outcome.error is not None:
            await self._end(row, Ending(State.FAILED, fault=fault_of(outcome.error)))
        elif outcome.output is not None:
            await asyncio.to_thread(self._folders.take_output, row["id"], outcome.output)
            await self._end(row, Ending(State.SUCCEEDED, output=outcome.output))
        else:
            folder = self._folders.scene(row["id"])
            try:
                manifest = await asyncio.to_thread(load_manifest, folder)
            except WorldloomError as error:
                fault = fault_of(TaskError(type(error).__name__, error.message))
                await self._end(row, Ending(State.FAILED, fault=fault))
                return
            ending = Ending(State.SUCCEEDED, counts=manifest.counts, degraded=outcome.degraded)
            await self._end(row, ending)

    async def _retry(self, row: dict[str, Any], launch_id: str) -> None:
        """Starts a process again that ended without a word; what it finished is kept."""
        attempts = row["attempts"]
        _logger.warning("the process of job %s was lost, try %d", row["id"], attempts)
        if attempts < self._config.max_attempts:
            change = (
                update(JOBS)
                .where(JOBS.c.id == row["id"])
                .values(attempts=attempts + 1, attempt_s=None)
            )
            await self._database.write(lambda connection: connection.execute(change))
            return
        log = await asyncio.to_thread(self._launcher.logs, launch_id)
        _logger.warning("the last words of job %s:\n%s", row["id"], log[-4000:])
        fault = JobFault(
            10,
            "PROCESS_LOST",
            f"the process of the job ended {attempts} times without a result: memory or time did "
            "not suffice, or its machine was lost; use a smaller resolution or fewer frames",
            {"attempts": str(attempts)},
        )
        await self._end(row, Ending(State.FAILED, fault=fault))

    async def _end(self, row: dict[str, Any], ending: Ending) -> None:
        now_s = self._clock()
        await self._database.write(
            lambda connection: record_end(connection, self._assets, row, ending, now_s)
        )
        self._hub.notify(row["id"])
        self.wake()


def _names(connection: Connection, assets: tuple[str, ...]) -> dict[str, str]:
    query = select(ASSETS.c.id, ASSETS.c.display_name).where(ASSETS.c.id.in_(assets))
    return {asset_id: name for asset_id, name in connection.execute(query)}


def _keep_events(connection: Connection, job_id: str, found: EventsRead) -> None:
    """Adds events and where they end in one transaction: each is taken once."""
    contents = [(event.time_s, EventContent(worker=event)) for event in found.events]
    append_events(connection, job_id, contents)
    values: dict[str, Any] = {"events_offset": found.offset}
    marks = [event.progress for event in found.events if event.progress is not None]
    if marks:
        values["progress"] = encoded(marks[-1])
    connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(**values))
