"""Jobs and operations: one table, one queue."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from cluster.gateway.config import GatewayConfig
from cluster.gateway.database import Database
from cluster.gateway.events import EventHub, append_events
from cluster.gateway.identifiers import Page, PageRequest, new_id, page_token
from cluster.gateway.quota import require_job
from cluster.gateway.records import (
    EventContent,
    JobRecord,
    Priority,
    State,
    StateMark,
    encoded,
    job_from_row,
)
from cluster.gateway.specs import JobSpec
from cluster.gateway.tables import ASSETS, JOB_ASSETS, JOBS, SCENES
from cluster.tracing import current_parent
from cluster.worker.task import JobKind
from worldloom.codec import digest
from worldloom.errors import AlreadyExistsError, NotFoundError, PreconditionError

RECONSTRUCTIONS: tuple[JobKind, ...] = (JobKind.RECONSTRUCT,)
OPERATIONS: tuple[JobKind, ...] = tuple(kind for kind in JobKind if kind not in RECONSTRUCTIONS)

_MOST_KEPT = 1000
_OWN = select(JOBS).where(
    JOBS.c.id == bindparam("job_id"), JOBS.c.principal == bindparam("principal")
)
"""Made once: building it takes longer than SQLite's answer."""


class Jobs:
    """Creates, lists, cancels and deletes jobs; running them is the supervisor's.

    Args:
        database: Where they are.
        config: Quotas.
        hub: Told of new events.
        on_change: Called when the queue has something to do.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        config: GatewayConfig,
        hub: EventHub,
        on_change: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._config = config
        self._hub = hub
        self._on_change = on_change
        self._clock = clock
        self._kept: dict[str, tuple[Mapping[str, Any], JobRecord]] = {}
        """Rows as they were read last, with what was made of them."""

    async def create(
        self,
        principal: str,
        spec: JobSpec,
        display_name: str,
        priority: Priority,
        request_id: str | None,
        validate_only: bool,
    ) -> JobRecord:
        """Queues a job; with a request id that was used for the same, returns that one.

        Raises:
            NotFoundError: an asset or the scene is not there, or not the caller's.
            AlreadyExistsError: the request id was used for something else.
            QuotaError: the share of the caller is used up.
        """
        now_s = self._clock()
        row = self._row(principal, spec, display_name, priority, request_id, now_s)

        def create(connection: Connection) -> JobRecord:
            known = _requested(connection, principal, request_id)
            if known is not None:
                if known["request_digest"] != row["request_digest"]:
                    raise AlreadyExistsError(
                        f"request_id {request_id} was used for another request; use a new one",
                        name=request_id,
                    )
                return job_from_row(known)
            _require_assets(connection, principal, spec.assets)
            if spec.scene_id is not None:
                _require_scene(connection, principal, spec.scene_id)
            require_job(connection, self._config.quotas, principal, now_s)
            if validate_only:
                return job_from_row(row)
            connection.execute(insert(JOBS), row)
            needed = [{"job_id": row["id"], "asset_id": asset} for asset in spec.assets]
            if needed:
                connection.execute(insert(JOB_ASSETS), needed)
            queued = EventContent(state=StateMark(State.QUEUED))
            last = append_events(connection, row["id"], [(now_s, queued)])
            return job_from_row(row | {"last_sequence": last})

        job = await self._database.write(create)
        if not validate_only:
            self._on_change()
        return job

    async def get(self, principal: str, job_id: str, kinds: Sequence[JobKind]) -> JobRecord:
        """Returns a job; as long as nothing of it changes, the same record.

        Raises:
            NotFoundError: there is no such job of the caller.
        """
        row = await self._database.row(_OWN, {"job_id": job_id, "principal": principal})
        row = _known(row, job_id, kinds)
        kept = self._kept.get(job_id)
        if kept is None or kept[0] != row:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            kept = self._kept[job_id] = (row, job_from_row(row))
        return kept[1]

    async def list(
        self, principal: str, kinds: Sequence[JobKind], page: PageRequest, state: State | None
    ) -> Page[JobRecord]:
        """Returns jobs of a caller, newest first."""
        query = select(JOBS).where(JOBS.c.principal == principal, JOBS.c.kind.in_(kinds))
        if state is not None:
            query = query.where(JOBS.c.state == state)
        if page.before_id is not None:
            query = query.where(JOBS.c.id < page.before_id)
        query = query.order_by(JOBS.c.id.desc()).limit(page.size + 1)
        rows = await self._database.read(
            lambda connection: connection.execute(query).mappings().all()
        )
        items = tuple(job_from_row(dict(row)) for row in rows[: page.size])
        return Page(items, page_token(items[-1].id) if len(rows) > page.size else "")

    async def cancel(self, principal: str, job_id: str, kinds: Sequence[JobKind]) -> JobRecord:
        """Asks a job to stop; one that waits has ended at once.

        Raises:
            NotFoundError: there is no such job of the caller.
        """
        now_s = self._clock()

        def cancel(connection: Connection) -> JobRecord:
            job = _own(connection, principal, job_id, kinds)
            if job.state is State.QUEUED:
                change_state(connection, job_id, State.CANCELLED, now_s, end_s=now_s)
            elif job.state is State.RUNNING:
                change_state(connection, job_id, State.CANCELLING, now_s)
            return _own(connection, principal, job_id, kinds)

        job = await self._database.write(cancel)
        self._hub.notify(job_id)
        self._on_change()
        return job

    async def delete(self, principal: str, job_id: str, kinds: Sequence[JobKind]) -> JobRecord:
        """Deletes the record of a job that has ended and returns what it was.

        Raises:
            NotFoundError: there is no such job of the caller.
            PreconditionError: it has not ended.
        """

        def forget(connection: Connection) -> JobRecord:
            job = _own(connection, principal, job_id, kinds)
            if not job.state.is_final:
                raise PreconditionError(
                    f"the job {job_id} has not ended; cancel it first", name=job_id
                )
            connection.execute(delete(JOBS).where(JOBS.c.id == job_id))
            return job

        return await self._database.write(forget)

    def _row(
        self,
        principal: str,
        spec: JobSpec,
        display_name: str,
        priority: Priority,
        request_id: str | None,
        now_s: float,
    ) -> dict[str, Any]:
        return {
            "id": new_id(now_s),
            "kind": spec.kind,
            "principal": principal,
            "display_name": display_name,
            "state": State.QUEUED,
            "priority": int(priority),
            "spec": encoded(spec),
            "request_id": request_id,
            "request_digest": digest(spec, display_name, int(priority)),
            "create_s": now_s,
            "start_s": None,
            "end_s": None,
            "attempts": 0,
            "gpus": self._config.job_gpus if spec.kind in RECONSTRUCTIONS else 0.0,
            "gpu_s": 0.0,
            "scene_id": spec.scene_id,
            "asset_id": None,
            "degraded": False,
            "error": None,
            "progress": None,
            "last_sequence": 0,
            "events_offset": 0,
            "trace": current_parent(),
        }


def change_state(
    connection: Connection, job_id: str, state: State, now_s: float, **values: Any
) -> None:
    """Moves a job to a state and tells its watchers, in one transaction.

    Args:
        connection: In a transaction.
        job_id: The job.
        state: Where to.
        now_s: Time of the event.
        **values: Further columns; `fault` becomes the error.
    """
    fault = values.pop("fault", None)
    if fault is not None:
        values["error"] = encoded(fault)
    connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(state=state, **values))
    append_events(connection, job_id, [(now_s, EventContent(state=StateMark(state, fault)))])


def _requested(
    connection: Connection, principal: str, request_id: str | None
) -> dict[str, Any] | None:
    if request_id is None:
        return None
    query = select(JOBS).where(JOBS.c.principal == principal, JOBS.c.request_id == request_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _own(
    connection: Connection, principal: str, job_id: str, kinds: Sequence[JobKind]
) -> JobRecord:
    found = {"job_id": job_id, "principal": principal}
    row: Any = connection.execute(_OWN, found).mappings().first()
    return job_from_row(_known(row, job_id, kinds))


def _known(
    row: Mapping[str, Any] | None, job_id: str, kinds: Sequence[JobKind]
) -> Mapping[str, Any]:
    """The row of a job, where there is one of these kinds."""
    if row is None or row["kind"] not in kinds:
        what = "reconstructionJobs" if JobKind.RECONSTRUCT in kinds else "operations"
        raise NotFoundError(f"there is no {what}/{job_id}", name=job_id)
    return row


def _require_assets(connection: Connection, principal: str, needed: Sequence[str]) -> None:
    query = select(ASSETS.c.id).where(ASSETS.c.principal == principal, ASSETS.c.id.in_(needed))
    there = set(connection.scalars(query))
    for asset in needed:
        if asset not in there:
            raise NotFoundError(f"there is no assets/{asset}", name=asset)


def _require_scene(connection: Connection, principal: str, scene_id: str) -> None:
    query = select(SCENES.c.id).where(SCENES.c.principal == principal, SCENES.c.id == scene_id)
    if connection.scalar(query) is None:
        raise NotFoundError(f"there is no scenes/{scene_id}", name=scene_id)
