import itertools
import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.affinity import inputs_of
from cluster.dispatch import Assignment, Dispatch, DispatchPolicy
from worldloom.errors import ConfigError


def _dispatch(items: int, workers: int = 1, concurrency: int = 1, **policy: int) -> Dispatch:
    dispatch = Dispatch(range(items), concurrency, DispatchPolicy(**policy))
    for worker in range(workers):
        dispatch.join(worker)
    return dispatch


def test_items_go_out_in_order_to_the_worker_that_holds_least():
    dispatch = _dispatch(10, workers=2)
    assert dispatch.assign() == [
        Assignment(0, 0),
        Assignment(1, 1),
        Assignment(0, 2),
        Assignment(1, 3),
    ]
    assert dispatch.assign() == []
    dispatch.done(1, 1)
    assert dispatch.assign() == [Assignment(1, 4)]


@pytest.mark.parametrize(("concurrency", "queue_ahead"), [(1, 0), (1, 1), (3, 2)])
def test_what_is_in_flight_is_bounded(concurrency: int, queue_ahead: int):
    dispatch = _dispatch(1000, 4, concurrency, queue_ahead=queue_ahead)
    dispatch.assign()
    assert dispatch.in_flight == 4 * (concurrency + queue_ahead)
    assert dispatch.unfinished == 1000


def test_a_death_blames_only_what_ran_and_keeps_the_order():
    dispatch = _dispatch(5)
    assert dispatch.assign() == [Assignment(0, 0), Assignment(0, 1)]
    assert dispatch.lost_worker(0) == []
    assert (dispatch.attempts(0), dispatch.attempts(1)) == (1, 0)
    dispatch.join(1)
    assert dispatch.assign() == [Assignment(1, 0)], "a blamed item runs alone"
    dispatch.done(1, 0)
    assert dispatch.assign() == [Assignment(1, 1), Assignment(1, 2)]


def test_an_item_is_given_up_after_its_last_try():
    dispatch = _dispatch(2, attempts=3)
    lost: list[list[int]] = []
    for worker in range(3):
        dispatch.join(worker)
        dispatch.assign()
        lost.append(dispatch.lost_worker(worker))
    assert lost == [[], [], [0]]
    assert dispatch.attempts(0) == 3
    dispatch.join(3)
    assert dispatch.assign() == [Assignment(3, 1)]
    dispatch.done(3, 1)
    assert dispatch.finished


def test_an_item_that_shares_a_worker_with_a_killer_is_cleared_when_it_runs_alone():
    dispatch = _dispatch(2, concurrency=2, attempts=2)
    dispatch.assign()
    assert dispatch.lost_worker(0) == []
    dispatch.join(1)
    assert dispatch.assign() == [Assignment(1, 0)]
    assert dispatch.lost_worker(1) == [0]
    dispatch.join(2)
    assert dispatch.assign() == [Assignment(2, 1)]
    dispatch.done(2, 1)
    assert dispatch.finished


def test_a_lost_result_keeps_the_worker():
    dispatch = _dispatch(1, attempts=2)
    dispatch.assign()
    assert dispatch.lost_result(0, 0) == []
    assert dispatch.assign() == [Assignment(0, 0)]
    assert dispatch.lost_result(0, 0) == [0]
    assert dispatch.finished


def test_the_breaker_counts_deaths_since_the_last_finished_item():
    dispatch = _dispatch(9, attempts=9, deaths_without_progress=3)
    dispatch.lost_worker(0)
    for worker in range(1, 3):
        dispatch.join(worker)
        dispatch.lost_worker(worker)
    dispatch.join(3)
    dispatch.assign()
    dispatch.done(3, 0)
    for worker in range(3, 7):
        assert not dispatch.tripped
        dispatch.join(worker)
        dispatch.lost_worker(worker)
    assert dispatch.tripped, "three, and one for the only worker"


def test_a_lost_node_does_not_trip_the_breaker():
    dispatch = _dispatch(1000, workers=100, deaths_without_progress=3)
    dispatch.assign()
    for worker in range(100):
        assert dispatch.lost_worker(worker) == []
    assert not dispatch.tripped


def test_a_worker_that_never_came_up_counts_as_a_death():
    dispatch = Dispatch([0], 1, DispatchPolicy(deaths_without_progress=1))
    assert dispatch.lost_worker(7) == []
    assert dispatch.tripped


@pytest.mark.parametrize("field", ["attempts", "deaths_without_progress", "look_ahead"])
def test_a_policy_without_any_try_is_refused(field: str):
    with pytest.raises(ConfigError, match=field):
        DispatchPolicy(**{field: 0})


@given(
    items=st.integers(0, 30),
    workers=st.integers(1, 4),
    concurrency=st.integers(1, 3),
    queue_ahead=st.integers(0, 2),
    poison=st.sets(st.integers(0, 29)),
    seed=st.integers(0, 2**16),
)
def test_every_item_ends_once_and_only_killers_are_given_up(
    items: int, workers: int, concurrency: int, queue_ahead: int, poison: set[int], seed: int
):
    """A whole stage in miniature: a worker dies over a poison item once it runs one."""
    draw = random.Random(seed)
    policy = DispatchPolicy(queue_ahead=queue_ahead, deaths_without_progress=10**6)
    dispatch = Dispatch(range(items), concurrency, policy)
    held: dict[int, list[int]] = {worker: [] for worker in range(workers)}
    for worker in held:
        dispatch.join(worker)
    done: list[int] = []
    given_up: list[int] = []
    deaths = 0
    while not dispatch.finished:
        for assignment in dispatch.assign():
            held[assignment.worker].append(assignment.item)
        worker = draw.choice([worker for worker, holds in held.items() if holds])
        running = held[worker][:concurrency]
        if poison & set(running):
            given_up += dispatch.lost_worker(worker)
            del held[worker]
            deaths += 1
            held[workers + deaths] = []
            dispatch.join(workers + deaths)
        else:
            item = draw.choice(running)
            held[worker].remove(item)
            dispatch.done(worker, item)
            done.append(item)
    assert sorted(done) == [item for item in range(items) if item not in poison]
    assert sorted(given_up) == [item for item in range(items) if item in poison]
    assert all(dispatch.attempts(item) == policy.attempts for item in given_up)
    assert deaths <= policy.attempts * len(given_up)


def test_a_worker_gets_what_it_has_read():
    near = {n: frozenset({f"frame-{n // 2}", f"frame-{n // 2 + 1}"}) for n in range(8)}
    order = {n: near[(n % 4) * 2 + n // 4] for n in range(8)}
    dispatch = Dispatch(range(8), 1, DispatchPolicy(queue_ahead=0), order)
    dispatch.join(0)
    dispatch.join(1)
    gone: dict[int, list[int]] = {0: [], 1: []}
    while not dispatch.finished:
        for assignment in dispatch.assign():
            gone[assignment.worker].append(assignment.item)
        for worker in (0, 1):
            for item in dispatch.held(worker):
                dispatch.done(worker, item)
    shared = [
        bool(order[a] & order[b]) for items in gone.values() for a, b in itertools.pairwise(items)
    ]
    assert sum(shared) >= 5, "in the order of the items none would be shared"


def test_workers_of_one_node_share_what_they_read():
    inputs = {0: frozenset({"a"}), 1: frozenset({"b"}), 2: frozenset({"a"}), 3: frozenset({"b"})}
    dispatch = Dispatch([0, 1, 3, 2], 1, DispatchPolicy(queue_ahead=0), inputs)
    for worker, node in ((0, "one"), (1, "two")):
        dispatch.join(worker, node)
    assert dispatch.assign() == [Assignment(0, 0), Assignment(1, 1)]
    dispatch.join(2, "one")
    assert dispatch.assign() == [Assignment(2, 2)], "its neighbour has read a"


def test_an_idle_worker_repeats_what_is_late_and_the_first_answer_counts():
    dispatch = _dispatch(4, workers=2, queue_ahead=0)
    assert dispatch.assign(0.0) == [Assignment(0, 0), Assignment(1, 1)]
    dispatch.done(1, 1, 2.0)
    assert dispatch.assign(2.0) == [Assignment(1, 2)]
    dispatch.done(1, 2, 4.0)
    assert dispatch.assign(4.0) == [Assignment(1, 3)]
    dispatch.done(1, 3, 5.9)
    assert dispatch.assign(5.9) == [], "not late yet"
    assert dispatch.assign(6.1) == [Assignment(1, 0)]
    assert dispatch.assign(60.0) == [], "one copy is enough"
    assert (dispatch.in_flight, dispatch.repeated) == (1, 1)
    dispatch.done(1, 0, 8.0)
    assert dispatch.finished
    assert dispatch.is_over(0)
    dispatch.done(0, 0, 99.0)
    assert dispatch.finished


def test_an_idle_worker_takes_what_another_has_queued():
    dispatch = _dispatch(4, workers=2)
    dispatch.assign(0.0)
    dispatch.done(1, 1, 1.0)
    dispatch.done(1, 3, 2.0)
    assert dispatch.assign(2.0) == [Assignment(1, 2)], "worker 0 is at item 0"
    dispatch.done(1, 2, 3.0)
    assert dispatch.lost_worker(0) == []
    dispatch.join(2)
    assert dispatch.assign(3.0) == [Assignment(2, 0)] or dispatch.held(1) == [0]


def test_a_death_over_a_copy_blames_nobody():
    dispatch = _dispatch(3, workers=2, queue_ahead=0, attempts=1)
    dispatch.assign(0.0)
    dispatch.done(1, 1, 1.0)
    dispatch.assign(1.0)
    dispatch.done(1, 2, 2.0)
    assert dispatch.assign(50.0) == [Assignment(1, 0)]
    assert dispatch.lost_worker(0) == []
    assert dispatch.attempts(0) == 0
    assert dispatch.lost_worker(1) == [0], "now nobody has it, and it had one try"


def test_inputs_of_a_work_item_are_found_wherever_they_stand():
    @dataclass(frozen=True)
    class Inner:
        artifact: str
        size: int

    @dataclass(frozen=True)
    class Outer:
        parts: tuple[Inner, ...]
        name: str
        other: str | None = None

    keys = [f"frame/{n:02x}/{n:064x}" for n in range(2)]
    work = Outer((Inner(keys[0], 3), Inner(keys[1], 4)), "view 3")
    assert inputs_of(work) == frozenset(keys)


def _on_nodes(items: int, nodes: str, **policy: int) -> Dispatch:
    dispatch = Dispatch(range(items), 1, DispatchPolicy(queue_ahead=0, **policy))
    for worker, node in enumerate(nodes):
        dispatch.join(worker, node)
    return dispatch


def test_an_item_that_a_place_refuses_is_tried_on_another_node():
    dispatch = _on_nodes(1, "aab")
    assert dispatch.assign() == [Assignment(0, 0)]
    assert dispatch.refused(0, 0)
    assert dispatch.assign() == [Assignment(2, 0)], "not the other worker of the same node"
    dispatch.done(2, 0)
    assert dispatch.finished


def test_where_there_is_no_other_node_the_same_one_tries_until_the_last_try():
    dispatch = _on_nodes(1, "a", attempts=3)
    told: list[bool] = []
    for _ in range(3):
        assert dispatch.assign() == [Assignment(0, 0)]
        told.append(dispatch.refused(0, 0))
    assert told == [True, True, False]
    assert dispatch.tries(0) == 3
    assert dispatch.finished


def test_a_node_that_fails_fast_does_not_draw_all_items():
    dispatch = _on_nodes(40, "ab")
    refused = 0
    done: list[int] = []
    while not dispatch.finished:
        for assignment in dispatch.assign():
            if assignment.worker == 0:
                refused += 1
                assert dispatch.refused(0, assignment.item)
            else:
                dispatch.done(1, assignment.item)
                done.append(assignment.item)
    assert refused == 2
    assert sorted(done) == list(range(40))


def test_a_success_makes_up_for_what_a_node_refused():
    dispatch = _on_nodes(9, "ab", refusals_of_node=2)
    for _ in range(3):
        given = {each.worker: each.item for each in dispatch.assign()}
        assert dispatch.refused(0, given[0])
        dispatch.done(1, given[1])
        given = {each.worker: each.item for each in dispatch.assign()}
        assert set(given) == {0, 1}, "the node of worker 0 is still in use"
        dispatch.done(0, given[0])
        dispatch.done(1, given[1])
    assert dispatch.finished


def test_a_refusal_does_not_end_an_item_of_which_a_copy_runs():
    dispatch = _on_nodes(2, "ab", attempts=1)
    dispatch.assign()
    dispatch.done(0, 0, 1.0)
    assert dispatch.assign(100.0) == [Assignment(0, 1)], "the late item is repeated"
    assert dispatch.refused(0, 1, 101.0)
    assert not dispatch.finished
    dispatch.done(1, 1, 102.0)
    assert dispatch.finished
