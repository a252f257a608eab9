import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("field", ["attempts", "deaths_without_progress"])
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
