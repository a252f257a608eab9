"""A pool of actors of one kind that survives the death of its members."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray import ObjectRef
from ray.actor import ActorHandle
from ray.exceptions import RayError

from actors.remote import ActorSpec, start_actor
from actors.worker import Health, StageActor
from cluster.affinity import inputs_of
from cluster.dispatch import Assignment, Dispatch, DispatchPolicy, ItemId, WorkerId
from cluster.faults import (
    Fault,
    FaultKind,
    fault_from_error,
    raised_in_constructor,
    reason_from_error,
)
from worldloom.errors import RunnerError
from worldloom.observation import ItemSent, Observer, WorkerLost, WorkerUp, unobserved
from worldloom.stage import Failure, Outcome, R, Stage, W
from worldloom.store import ArtifactKey

_logger = logging.getLogger(__name__)
_POLL_S = 2.0
_RESIZE_S = 5.0
_CLOSE_S = 5.0


@dataclass(frozen=True)
class PoolConfig:
    """How a pool treats its workers."""

    dispatch: DispatchPolicy
    """When to try again and when to give up."""
    patience_s: float
    """Time without any worker up after which the pool asks for help."""
    start_timeout_s: float
    """Time without any worker up after which it gives up."""


@dataclass(frozen=True)
class _Call:
    """A running call of `run`, or of `ready` where there is no item."""

    worker: WorkerId
    item: ItemId | None


class ActorPool:
    """Workers of one kind. They are started as work comes and stay for the next stage.

    Args:
        spec: What each worker is.
        name: Prefix of the names of its actors.
        probe: Artifact by which a worker knows the store of the driver.
        config: How workers are treated.
        on_stall: Called again and again while no worker comes up: frees what can be freed, and
            raises `RunnerError` where no node can carry a worker any more.
        stopping: Set when no more items may be begun.
        observe: Told of workers and of items handed out.
    """

    def __init__(
        self,
        spec: ActorSpec,
        name: str,
        probe: ArtifactKey,
        config: PoolConfig,
        on_stall: Callable[[], None],
        stopping: threading.Event,
        observe: Observer = unobserved,
    ) -> None:
        self.spec = spec
        self._name = name
        self._probe = probe
        self._config = config
        self._on_stall = on_stall
        self._stopping = stopping
        self._observe = observe
        self._numbers = itertools.count()
        self._actors: dict[WorkerId, ActorHandle[StageActor]] = {}
        self._up: set[WorkerId] = set()
        self._calls: dict[ObjectRef[Any], _Call] = {}
        self._idle_since_s = 0.0

    @property
    def size(self) -> int:
        """Workers that are up or on the way."""
        return len(self._actors)

    def map(
        self,
        stage: Stage[W, R],
        works: Mapping[ItemId, W],
        size: Callable[[int], int],
        look_up: Callable[[W], Outcome[R] | None],
    ) -> Iterator[tuple[ItemId, Outcome[R]]]:
        """Makes work items on up to `size` workers; yields outcomes as they come.

        Nodes that join on the way get workers, and idle workers repeat what is late elsewhere.

        Args:
            stage: What to do.
            works: Items by id.
            size: Returns the most workers for a number of unfinished items; asked again and again.
            look_up: Returns the outcome of an item that the store holds: what a worker finished
                just before it died, though its answer got lost.

        Raises:
            RunnerError: no worker comes up, or workers die and nothing gets done.
        """
        concurrency = self.spec.resources.max_concurrency
        inputs = {item: inputs_of(work) for item, work in works.items()}
        dispatch = Dispatch(works, concurrency, self._config.dispatch, inputs)
        self._call_roll()
        self._idle_since_s = time.monotonic()
        most, asked_s = size(len(works)), time.monotonic()
        while not dispatch.finished:
            if self._stopping.is_set() and dispatch.in_flight == 0:
                raise RunnerError(f"the runner was closed during stage {stage.name}")
            if time.monotonic() >= asked_s + _RESIZE_S:
                most, asked_s = size(dispatch.unfinished), time.monotonic()
            self.grow(min(most, dispatch.unfinished))
            if not self._stopping.is_set():
                for assignment in dispatch.assign(time.monotonic()):
                    actor = self._actors[assignment.worker]
                    ref = actor.run.remote(stage, works[assignment.item])
                    self._calls[ref] = _Call(assignment.worker, assignment.item)
                    self._observe(self._sent(stage, works, assignment, dispatch))
            for ref in self._arrived():
                yield from self._settle(ref, stage, works, dispatch, look_up)
        if dispatch.repeated:
            _logger.info(
                "%s: %d items were repeated on idle workers", stage.name, dispatch.repeated
            )
        self._forget_copies()

    def _forget_copies(self) -> None:
        """Lets go of items that still run though their outcome is known.

        Their workers are asked at the next roll call, which they answer when they are through.
        """
        busy = {call.worker for call in self._calls.values() if call.item is not None}
        self._calls = {ref: call for ref, call in self._calls.items() if call.item is None}
        self._up -= busy
        for worker in sorted(busy):
            ref = self._actors[worker].ready.remote(self._probe)
            self._calls[ref] = _Call(worker, None)

    def close(self) -> list[Health]:
        """Lets the workers close, then ends them; returns their last states."""
        states: list[Health] = []
        refs: list[Any] = [self._actors[worker].close.remote() for worker in sorted(self._up)]
        if refs:
            refs, _ = ray.wait(refs, num_returns=len(refs), timeout=_CLOSE_S)
        for ref in refs:
            try:
                states.append(ray.get(ref))
            except RayError as error:
                _logger.info("a worker ended before it was closed: %s", reason_from_error(error))
        self.kill()
        return states

    def kill(self) -> None:
        """Ends the workers at once."""
        for worker in list(self._actors):
            self._drop(worker)

    def _call_roll(self) -> None:
        """Asks the workers of earlier stages whether they live: no item is blamed for the dead."""
        for worker in sorted(self._up):
            self._calls[self._actors[worker].ready.remote(self._probe)] = _Call(worker, None)
        self._up.clear()

    def grow(self, size: int) -> None:
        """Sends workers on their way until there are `size`; does not wait for them."""
        while self.size < size:
            worker = next(self._numbers)
            actor = start_actor(self.spec, self._label(worker))
            self._actors[worker] = actor
            self._calls[actor.ready.remote(self._probe)] = _Call(worker, None)

    def _drop(self, worker: WorkerId) -> None:
        actor = self._actors.pop(worker)
        if ray.is_initialized():
            ray.kill(actor)
        self._up.discard(worker)
        self._calls = {ref: call for ref, call in self._calls.items() if call.worker != worker}

    def _arrived(self) -> list[ObjectRef[Any]]:
        done, _ = ray.wait(list(self._calls), num_returns=1, timeout=_POLL_S)
        if self._up:
            self._idle_since_s = time.monotonic()
        else:
            self._wait_longer(time.monotonic() - self._idle_since_s)
        return done

    def _wait_longer(self, waited_s: float) -> None:
        if waited_s > self._config.start_timeout_s:
            raise RunnerError(
                f"no {self.spec.kind} worker came up in {waited_s:.0f} s, though the cluster "
                "could carry one; other jobs may hold it: wait for them or raise the timeout",
                role=self.spec.kind,
            )
        if waited_s > self._config.patience_s:
            _logger.info("waiting for a %s worker for %.0f s", self.spec.kind, waited_s)
            self._on_stall()

    def _settle(
        self,
        ref: ObjectRef[Any],
        stage: Stage[W, R],
        works: Mapping[ItemId, W],
        dispatch: Dispatch,
        look_up: Callable[[W], Outcome[R] | None],
    ) -> Iterator[tuple[ItemId, Outcome[R]]]:
        call = self._calls.pop(ref)
        try:
            value = ray.get(ref)
        except RayError as error:
            fault = self._read(error)
            _logger.warning("%s worker %d: %s", self.spec.kind, call.worker, fault.reason)
            for item in self._at_stake(call, fault, dispatch):
                if dispatch.is_over(item):
                    continue
                if (finished := look_up(works[item])) is not None:
                    dispatch.done(call.worker, item, time.monotonic())
                    yield item, finished
            for item in self._lost(call, fault, dispatch):
                attempts = dispatch.attempts(item)
                yield item, Outcome(None, _given_up(stage, works[item], attempts, fault.reason))
            if dispatch.tripped:
                raise RunnerError(
                    f"stage {stage.name}: {dispatch.deaths_in_a_row} workers died and nothing got "
                    f"done, the last by {fault.reason}; give the {self.spec.kind} workers more "
                    "memory or run fewer of them, and see the logs of Ray",
                    stage=stage.name,
                ) from error
            return
        if call.item is None:
            _logger.debug("worker %d is up: %s", call.worker, value)
            self._up.add(call.worker)
            self._observe(WorkerUp(self._label(call.worker), self.spec.kind, value.node, value.pid))
            dispatch.join(call.worker, value.node)
        else:
            yield from self._answered(call.worker, call.item, value, dispatch)

    def _answered(
        self, worker: WorkerId, item: ItemId, outcome: Outcome[R], dispatch: Dispatch
    ) -> Iterator[tuple[ItemId, Outcome[R]]]:
        """Takes the answer of a worker; where the place is at fault, another one is asked."""
        now_s = time.monotonic()
        failure = outcome.failure
        if dispatch.is_over(item):
            dispatch.done(worker, item, now_s)
        elif failure is None or not failure.retryable:
            dispatch.done(worker, item, now_s)
            yield item, outcome
        elif dispatch.refused(worker, item, now_s):
            _logger.warning(
                "%s worker %d: %s of %s is tried elsewhere: %s",
                *(self.spec.kind, worker, failure.stage, failure.subject, failure.message),
            )
        else:
            final = replace(failure, attempts=dispatch.tries(item))
            yield item, replace(outcome, failure=final)

    def _read(self, error: RayError) -> Fault:
        fault = fault_from_error(error)
        if fault.kind is FaultKind.RAISED:
            raise error
        if raised_in_constructor(error):
            raise RunnerError(
                f"a {self.spec.kind} worker cannot be made: {fault.reason}; see that every node "
                "has the dependencies of worldloom"
            ) from error
        return fault

    @staticmethod
    def _at_stake(call: _Call, fault: Fault, dispatch: Dispatch) -> list[ItemId]:
        """Items that a fault may have cost: all of a dead worker, else the one that was lost."""
        if fault.kind is FaultKind.WORKER_LOST:
            return dispatch.held(call.worker)
        return [] if call.item is None else [call.item]

    def _lost(self, call: _Call, fault: Fault, dispatch: Dispatch) -> list[ItemId]:
        """Counts out what a fault cost; returns the items that have no try left."""
        if fault.kind is FaultKind.RESULT_LOST and call.item is not None:
            if call.item not in dispatch.held(call.worker):
                return []
            return dispatch.lost_result(call.worker, call.item, time.monotonic())
        self._observe(WorkerLost(self._label(call.worker), self.spec.kind, fault.reason))
        self._drop(call.worker)
        return dispatch.lost_worker(call.worker)

    def _label(self, worker: WorkerId) -> str:
        return f"{self._name}-{worker}"

    def _sent(
        self,
        stage: Stage[W, R],
        works: Mapping[ItemId, W],
        assignment: Assignment,
        dispatch: Dispatch,
    ) -> ItemSent:
        attempt = dispatch.attempts(assignment.item) + 1
        subject = works[assignment.item].subject
        return ItemSent(stage.name, subject, self._label(assignment.worker), attempt)


def _given_up(stage: Stage[W, R], work: W, attempts: int, reason: str) -> Failure:
    return Failure(
        stage.name,
        work.subject,
        reason.partition(":")[0],
        f"no worker survived it in {attempts} tries; the last: {reason}",
        attempts,
    )
