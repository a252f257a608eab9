"""Which item goes to which worker, and what a death means: no Ray, no time, no I/O.

A worker runs its items in the order in which it got them. When it dies, only those that it can have
been running are blamed; the ones behind them go back without a mark. A blamed item runs alone on
its worker from then on, so that it cannot take others down with it, nor they it.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from worldloom.errors import ConfigError

ItemId = int
WorkerId = int


@dataclass(frozen=True)
class DispatchPolicy:
    """When to try again and when to give up."""

    attempts: int = 3
    """Workers that one item may kill before it counts as failed."""
    queue_ahead: int = 1
    """Items that wait at each worker besides those that run; hides the way to the driver."""
    deaths_without_progress: int = 24
    """Deaths in a row, with no item finished between, that stop the stage; on top of one death
    for each worker, for a lost node takes all of its workers at once."""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("attempts", self.attempts, 1),
            ("queue_ahead", self.queue_ahead, 0),
            ("deaths_without_progress", self.deaths_without_progress, 1),
        ):
            if value < least:
                raise ConfigError(f"{name} is {value}; give at least {least}", field=name)


@dataclass(frozen=True)
class Assignment:
    """An item for a worker."""

    worker: WorkerId
    item: ItemId


class Dispatch:
    """The state of one stage that is being run.

    Args:
        items: Ids of the items, in the order in which they are begun.
        concurrency: Items that one worker runs at a time.
        policy: When to try again and when to give up.
    """

    def __init__(self, items: Iterable[ItemId], concurrency: int, policy: DispatchPolicy) -> None:
        self._waiting = deque(items)
        self._concurrency = concurrency
        self._policy = policy
        self._blames: dict[ItemId, int] = {}
        self._held: dict[WorkerId, list[ItemId]] = {}
        self._most_workers = 0
        self.deaths_in_a_row = 0

    @property
    def finished(self) -> bool:
        """True where no item waits and none is in flight."""
        return not self._waiting and not self.in_flight

    @property
    def in_flight(self) -> int:
        """Items at workers."""
        return sum(len(items) for items in self._held.values())

    @property
    def unfinished(self) -> int:
        """Items that wait or are in flight."""
        return len(self._waiting) + self.in_flight

    @property
    def tripped(self) -> bool:
        """True where workers die and nothing gets done: the stage has to stop."""
        return self.deaths_in_a_row >= self._policy.deaths_without_progress + self._most_workers

    def attempts(self, item: ItemId) -> int:
        """Returns how many workers were lost over an item."""
        return self._blames.get(item, 0)

    def held(self, worker: WorkerId) -> list[ItemId]:
        """Returns the items at a worker, in the order in which it runs them."""
        return list(self._held.get(worker, []))

    def join(self, worker: WorkerId) -> None:
        """Counts in a worker that is ready for items."""
        self._held[worker] = []
        self._most_workers = max(self._most_workers, len(self._held))

    def assign(self) -> list[Assignment]:
        """Hands waiting items to the workers that hold least, as far as their bounds go."""
        assignments: list[Assignment] = []
        while self._waiting:
            worker = self._taker(self._waiting[0])
            if worker is None:
                break
            item = self._waiting.popleft()
            self._held[worker].append(item)
            assignments.append(Assignment(worker, item))
        return assignments

    def done(self, worker: WorkerId, item: ItemId) -> None:
        """Counts out an item that a worker finished, with a value or a failure."""
        self._held[worker].remove(item)
        self.deaths_in_a_row = 0

    def lost_result(self, worker: WorkerId, item: ItemId) -> list[ItemId]:
        """Takes back an item whose result got lost on the way from a living worker.

        Returns:
            The item, where it has no try left.
        """
        self._held[worker].remove(item)
        return self._blame([item])

    def lost_worker(self, worker: WorkerId) -> list[ItemId]:
        """Counts out a worker that died, ready or not, and takes its items back.

        Returns:
            The items that have no try left.
        """
        self.deaths_in_a_row += 1
        items = self._held.pop(worker, [])
        running, queued = items[: self._concurrency], items[self._concurrency :]
        self._waiting.extendleft(reversed(queued))
        return self._blame(running)

    def _blame(self, items: list[ItemId]) -> list[ItemId]:
        exhausted: list[ItemId] = []
        for item in reversed(items):
            self._blames[item] = self.attempts(item) + 1
            if self._blames[item] >= self._policy.attempts:
                exhausted.append(item)
            else:
                self._waiting.appendleft(item)
        return exhausted[::-1]

    def _taker(self, item: ItemId) -> WorkerId | None:
        open_workers = [
            (len(items), worker)
            for worker, items in self._held.items()
            if not any(self.attempts(held) for held in items)
        ]
        if not open_workers:
            return None
        load, worker = min(open_workers)
        if self.attempts(item):
            return worker if load == 0 else None
        return worker if load < self._concurrency + self._policy.queue_ahead else None
