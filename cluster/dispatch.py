"""Which item goes to which worker, and what a death means: no Ray, no time, no I/O.

A worker runs its items in the order in which it got them, and gets those whose inputs it has read
already where there are some. When nothing waits any more, an idle worker repeats what another one
has queued or is late with: items are idempotent, and the first answer counts.

When a worker dies, only those items that it can have been running are blamed; the ones behind them
go back without a mark. A blamed item runs alone on its worker from then on, so that it cannot take
others down with it, nor they it.

An item that fails for want of space or memory is tried elsewhere, on another node where there is
one. A node on which nothing succeeds gets no more items while there are others: it fails fast, and
would soon have had them all.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from statistics import median

from worldloom.errors import ConfigError

ItemId = int
WorkerId = int


@dataclass(frozen=True)
class DispatchPolicy:
    """When to try again and when to give up."""

    attempts: int = 3
    """Workers that one item may kill, or fail on for want of space or memory, before it counts as
    failed."""
    refusals_of_node: int = 2
    """Items in a row that fail on a node for want of space or memory before it gets no more."""
    queue_ahead: int = 1
    """Items that wait at each worker besides those that run; hides the way to the driver."""
    deaths_without_progress: int = 24
    """Deaths in a row, with no item finished between, that stop the stage; on top of one death
    for each worker, for a lost node takes all of its workers at once."""
    look_ahead: int = 32
    """Waiting items among which a worker finds one whose inputs it has; more follows the inputs
    more closely, less the order of the items."""
    remembered_inputs: int = 512
    """Inputs of a worker that are believed to be in its cache still."""
    late_after: float = 3.0
    """An item that runs this many times longer than the median item is late."""
    late_least_s: float = 5.0
    """No item is late before, seconds."""
    steal_least_s: float = 0.1
    """Items with a median below this are not taken from the queue of another worker, seconds."""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("attempts", self.attempts, 1),
            ("refusals_of_node", self.refusals_of_node, 1),
            ("queue_ahead", self.queue_ahead, 0),
            ("deaths_without_progress", self.deaths_without_progress, 1),
            ("look_ahead", self.look_ahead, 1),
            ("remembered_inputs", self.remembered_inputs, 0),
            ("late_after", self.late_after, 1),
            ("late_least_s", self.late_least_s, 0),
            ("steal_least_s", self.steal_least_s, 0),
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
        inputs: What each item reads, by name; items without are free to go anywhere.
    """

    def __init__(
        self,
        items: Iterable[ItemId],
        concurrency: int,
        policy: DispatchPolicy,
        inputs: Mapping[ItemId, frozenset[str]] | None = None,
    ) -> None:
        self._waiting = deque(items)
        self._concurrency = concurrency
        self._policy = policy
        self._inputs = inputs or {}
        self._blames: dict[ItemId, int] = {}
        self._refused: dict[ItemId, list[str]] = {}
        self._refusals: dict[str, int] = {}
        self._held: dict[WorkerId, list[ItemId]] = {}
        self._read: dict[WorkerId, OrderedDict[str, None]] = {}
        self._node: dict[WorkerId, str] = {}
        self._begun_s: dict[tuple[WorkerId, ItemId], float] = {}
        self._durations_s: list[float] = []
        self._over: set[ItemId] = set()
        self._most_workers = 0
        self.deaths_in_a_row = 0
        self.repeated = 0

    @property
    def finished(self) -> bool:
        """True where no item waits and none that counts is in flight."""
        return not self._waiting and not self.in_flight

    @property
    def in_flight(self) -> int:
        """Items at workers, copies not counted."""
        return len({item for items in self._held.values() for item in items} - self._over)

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

    def tries(self, item: ItemId) -> int:
        """Returns how often an item was run without success, by workers that died and others."""
        return self.attempts(item) + len(self._refused.get(item, ()))

    def is_over(self, item: ItemId) -> bool:
        """Returns whether an item has its outcome: what still comes of it does not count."""
        return item in self._over

    def held(self, worker: WorkerId) -> list[ItemId]:
        """Returns the items at a worker, in the order in which it runs them."""
        return list(self._held.get(worker, []))

    def join(self, worker: WorkerId, node: str = "") -> None:
        """Counts in a worker that is ready for items.

        Args:
            worker: Its number.
            node: Where it is: workers of one node read the same disk cache.
        """
        self._held[worker] = []
        self._read[worker] = OrderedDict()
        self._node[worker] = node
        self._most_workers = max(self._most_workers, len(self._held))

    def assign(self, now_s: float = 0.0) -> list[Assignment]:
        """Hands waiting items to the workers that hold least, as far as their bounds go.

        Args:
            now_s: Time on any steady clock, seconds.
        """
        assignments: list[Assignment] = []
        while self._waiting:
            worker = self._taker(self._waiting[0])
            if worker is None:
                break
            place = 0 if self.tries(self._waiting[0]) else self._nearest(worker)
            item = self._waiting[place]
            del self._waiting[place]
            assignments.append(self._give(worker, item, now_s))
        if not self._waiting:
            assignments += self._repeats(now_s)
        return assignments

    def done(self, worker: WorkerId, item: ItemId, now_s: float = 0.0) -> None:
        """Counts out an item that a worker finished, with a value or a failure."""
        self._remove(worker, item, now_s)
        self._over.add(item)
        self.deaths_in_a_row = 0
        self._refusals.pop(self._node[worker], None)

    def refused(self, worker: WorkerId, item: ItemId, now_s: float = 0.0) -> bool:
        """Takes back an item that failed for a reason that lies with where it ran.

        Returns:
            Whether it is tried again; if not, its failure is its outcome.
        """
        node = self._node[worker]
        self._remove(worker, item, now_s)
        self._refusals[node] = self._refusals.get(node, 0) + 1
        self._refused.setdefault(item, []).append(node)
        if not self._missing([item]):
            return True  # a copy is under way
        if self.tries(item) >= self._policy.attempts:
            self._over.add(item)
            return False
        self._waiting.appendleft(item)
        return True

    def lost_result(self, worker: WorkerId, item: ItemId, now_s: float = 0.0) -> list[ItemId]:
        """Takes back an item whose result got lost on the way from a living worker.

        Returns:
            The item, where it has no try left.
        """
        self._remove(worker, item, now_s)
        return self._blame(self._missing([item]))

    def lost_worker(self, worker: WorkerId) -> list[ItemId]:
        """Counts out a worker that died, ready or not, and takes its items back.

        Returns:
            The items that have no try left.
        """
        self.deaths_in_a_row += 1
        items = self._held.pop(worker, [])
        running = self._missing(items[: self._concurrency])
        queued = self._missing(items[self._concurrency :])
        self._waiting.extendleft(reversed(queued))
        return self._blame(running)

    def _missing(self, items: list[ItemId]) -> list[ItemId]:
        """Returns the items that have no outcome and are at no other worker."""
        elsewhere = {item for items in self._held.values() for item in items}
        return [item for item in items if item not in self._over and item not in elsewhere]

    def _give(self, worker: WorkerId, item: ItemId, now_s: float) -> Assignment:
        held = self._held[worker]
        held.append(item)
        if len(held) <= self._concurrency:
            self._begun_s[worker, item] = now_s
        read = self._read[worker]
        for name in sorted(self._inputs.get(item, ())):
            read[name] = None
            read.move_to_end(name)
        while len(read) > self._policy.remembered_inputs:
            read.popitem(last=False)
        return Assignment(worker, item)

    def _remove(self, worker: WorkerId, item: ItemId, now_s: float) -> None:
        held = self._held[worker]
        held.remove(item)
        begun_s = self._begun_s.pop((worker, item), None)
        if begun_s is not None:
            self._durations_s.append(now_s - begun_s)
        for next_item in held[: self._concurrency]:
            self._begun_s.setdefault((worker, next_item), now_s)

    def _nearest(self, worker: WorkerId) -> int:
        """Returns the place of the waiting item most of whose inputs a worker has read."""
        own = self._read[worker]
        nearby = [
            self._read[other]
            for other, node in self._node.items()
            if node and node == self._node[worker] and other != worker
        ]
        best, best_score = 0, 0.0
        for place, item in enumerate(islice(self._waiting, self._policy.look_ahead)):
            if self.tries(item):
                continue
            names = self._inputs.get(item, frozenset())
            score = sum(
                1.0 if name in own else 0.25 * any(name in read for read in nearby)
                for name in names
            )
            # An equal share of fewer inputs is as good; the first of the best goes.
            score /= len(names) or 1
            if score > best_score:
                best, best_score = place, score
        return best

    def _repeats(self, now_s: float) -> list[Assignment]:
        """Gives idle workers a copy of what others have queued, or are late with."""
        if not self._durations_s:
            return []
        usual_s = median(self._durations_s)
        unfit = self._unfit_nodes()
        idle = [w for w, items in self._held.items() if not items and self._node[w] not in unfit]
        copies: list[Assignment] = []
        for worker in idle:
            item = self._worth_repeating(usual_s, now_s)
            if item is None:
                break
            copies.append(self._give(worker, item, now_s))
            self.repeated += 1
        return copies

    def _worth_repeating(self, usual_s: float, now_s: float) -> ItemId | None:
        held = [item for items in self._held.values() for item in items]
        late_s = max(self._policy.late_after * usual_s, self._policy.late_least_s)
        late: list[tuple[float, ItemId]] = []
        for worker, items in self._held.items():
            for place, item in enumerate(items):
                if item in self._over or held.count(item) > 1 or self.attempts(item):
                    continue
                if place >= self._concurrency and usual_s >= self._policy.steal_least_s:
                    return item
                begun_s = self._begun_s.get((worker, item))
                if begun_s is not None and now_s - begun_s > late_s:
                    late.append((begun_s, item))
        return min(late)[1] if late else None

    def _unfit_nodes(self) -> set[str]:
        """Nodes on which nothing succeeds, where there are others."""
        most = self._policy.refusals_of_node
        unfit = {node for node, count in self._refusals.items() if count >= most}
        return unfit if self._nodes_up() - unfit else set()

    def _shunned_nodes(self, item: ItemId) -> set[str]:
        """Nodes on which an item failed, where there are others."""
        shunned = set(self._refused.get(item, ()))
        return shunned if self._nodes_up() - shunned - self._unfit_nodes() else set()

    def _nodes_up(self) -> set[str]:
        return {self._node[worker] for worker in self._held}

    def _blame(self, items: list[ItemId]) -> list[ItemId]:
        exhausted: list[ItemId] = []
        for item in reversed(items):
            self._blames[item] = self.attempts(item) + 1
            if self._blames[item] >= self._policy.attempts:
                exhausted.append(item)
                self._over.add(item)
            else:
                self._waiting.appendleft(item)
        return exhausted[::-1]

    def _taker(self, item: ItemId) -> WorkerId | None:
        shunned = self._unfit_nodes() | self._shunned_nodes(item)
        open_workers = [
            (len(items), worker)
            for worker, items in self._held.items()
            if self._node[worker] not in shunned and not any(self.attempts(held) for held in items)
        ]
        if not open_workers:
            return None
        load, worker = min(open_workers)
        if self.attempts(item):
            return worker if load == 0 else None
        return worker if load < self._concurrency + self._policy.queue_ahead else None
