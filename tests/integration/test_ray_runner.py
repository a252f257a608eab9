"""The Ray runner: results, failures and deaths, on a real local cluster."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from actors.resources import ActorResources, RoleResources
from cluster.dispatch import DispatchPolicy
from cluster.ray_runner import RayConfig, RayRunner
from cluster.session import RaySession
from tests.integration.stages import (
    Deed,
    Square,
    Task,
    look_stage,
    perform_stage,
    times_begun,
)
from worldloom.bench import BenchConfig
from worldloom.errors import ConfigError, RunnerError, StoreError
from worldloom.inline import InlineRunner
from worldloom.stage import Failure, Outcome, Progress, Role

pytestmark = pytest.mark.integration
STAGE = perform_stage()


def _ignore(progress: Progress) -> None: ...


def _tasks(test: str, deeds: dict[int, Deed], count: int = 8) -> list[Task]:
    return [Task(test, n, deeds.get(n, "square")) for n in range(count)]


def test_outcomes_come_in_the_order_of_the_works(ray_runner: RayRunner, store_root: Path):
    works = [Task("order", n, sleep_s=0.2 if n in (0, 5) else 0) for n in range(20)]
    seen: list[Progress] = []
    outcomes = ray_runner.map(STAGE, works, seen.append)
    assert outcomes == [Outcome(Square(n**2)) for n in range(20)]
    assert [each.done for each in seen] == list(range(21))
    assert all(times_begun(store_root, STAGE.key(work)) == 1 for work in works)


def test_outcomes_equal_those_of_the_inline_runner(ray_runner: RayRunner, tmp_path: Path):
    works = _tasks("equal", {3: "refuse", 6: "run out of memory"})
    inline = InlineRunner(BenchConfig(str(tmp_path)), 2).map(STAGE, works, _ignore)
    found = ray_runner.map(STAGE, works, _ignore)
    assert [outcome for n, outcome in enumerate(found) if n != 6] == [
        outcome for n, outcome in enumerate(inline) if n != 6
    ]
    assert inline[3].failure == Failure(
        STAGE.name, "task 3", "InputError", "task 3 is black; drop it", attempts=1
    )
    hungry = inline[6].failure
    assert hungry is not None
    assert hungry.retryable
    assert found[6].failure == replace(hungry, attempts=3), "another place may have more"


def test_an_item_that_finds_no_space_is_tried_again(ray_runner: RayRunner, store_root: Path):
    works = _tasks("no space", {2: "find no space once"})
    assert ray_runner.map(STAGE, works, _ignore) == [Outcome(Square(n**2)) for n in range(8)]
    assert times_begun(store_root, STAGE.key(works[2])) == 2


def test_finished_work_is_found_without_any_worker(ray_runner: RayRunner, store_root: Path):
    works = _tasks("found", {})
    InlineRunner(BenchConfig(str(store_root))).map(STAGE, works, _ignore)
    with RayRunner(BenchConfig(str(store_root)), workers=1) as fresh:
        outcomes = fresh.map(STAGE, works, _ignore)
        assert fresh.workers_up() == {}
    assert outcomes == [Outcome(Square(n**2), reused=True) for n in range(8)]


def test_a_worker_that_dies_once_costs_nothing(ray_runner: RayRunner, store_root: Path):
    works = _tasks("once", {2: "die once"})
    assert ray_runner.map(STAGE, works, _ignore) == [Outcome(Square(n**2)) for n in range(8)]
    begun = [times_begun(store_root, STAGE.key(work)) for work in works]
    assert begun == [2 if n == 2 else 1 for n in range(8)]


def test_an_item_that_no_worker_survives_is_data(ray_runner: RayRunner, store_root: Path):
    works = _tasks("always", {1: "die always"})
    seen: list[Progress] = []
    outcomes = ray_runner.map(STAGE, works, seen.append)
    assert [outcome.value for outcome in outcomes] == [
        None if n == 1 else Square(n**2) for n in range(8)
    ]
    failure = outcomes[1].failure
    assert failure is not None
    assert (failure.stage, failure.subject, failure.attempts) == (STAGE.name, "task 1", 3)
    assert failure.error == "ActorDiedError"
    assert "no worker survived it in 3 tries" in failure.message
    assert times_begun(store_root, STAGE.key(works[1])) == 3
    assert seen[-1] == Progress(STAGE.name, 8, 8, reused=0, failed=1)


def test_an_item_whose_answer_died_with_its_worker_is_not_done_again(
    ray_runner: RayRunner, store_root: Path
):
    works = _tasks("answer lost", {2: "finish, then die", 5: "finish, then die"})
    outcomes = ray_runner.map(STAGE, works, _ignore)
    assert [outcome.value for outcome in outcomes] == [Square(n**2) for n in range(8)]
    assert [times_begun(store_root, STAGE.key(work)) for work in works] == [1] * 8


def test_a_refused_item_is_not_tried_again(ray_runner: RayRunner, store_root: Path):
    works = _tasks("refused", {4: "refuse"})
    outcomes = ray_runner.map(STAGE, works, _ignore)
    assert outcomes[4].failure is not None
    assert outcomes[4].failure.attempts == 1
    assert times_begun(store_root, STAGE.key(works[4])) == 1


def test_a_defect_is_raised_with_its_remote_trace(ray_runner: RayRunner):
    works = _tasks("defect", {5: "defect"})
    with pytest.raises(ValueError, match="a defect in task 5") as caught:
        ray_runner.map(STAGE, works, _ignore)
    assert "in perform" in str(caught.value)
    assert "stages.py" in str(caught.value)
    again = _tasks("after a defect", {})
    assert ray_runner.map(STAGE, again, _ignore) == [Outcome(Square(n**2)) for n in range(8)]


@pytest.mark.parametrize("role", Role)
def test_workers_of_each_role(ray_runner: RayRunner, role: Role):
    works = [Task("roles", n, sleep_s=0.2) for n in range(6)]
    outcomes = ray_runner.map(look_stage(role), works, _ignore)
    places = [outcome.value for outcome in outcomes]
    share = {Role.MEMORY: 0.5, Role.MERGER: 0.25}.get(role, 1.0)
    for place in places:
        assert place is not None
        assert (place.numba_threads, place.cv2_threads, place.omp_threads) == (1, 1, "1")
        assert place.cache_mib == 64 * share
    pids = {place.pid for place in places if place is not None}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids


def test_pools_stay_for_the_next_stage(ray_runner: RayRunner):
    def pids(test: str) -> set[int]:
        works = [Task(test, n, sleep_s=0.2) for n in range(6)]
        outcomes = ray_runner.map(look_stage(Role.DEPTH), works, _ignore)
        return {outcome.value.pid for outcome in outcomes if outcome.value is not None}

    # A busy machine brings the second worker up late.
    rounds = (pids(f"before {number}") for number in range(20))
    before = next(found for found in rounds if len(found) == 2)
    ray_runner.map(perform_stage(Role.MERGER), _tasks("between", {}), _ignore)
    assert pids("after") <= before
    assert ray_runner.workers_up()[Role.DEPTH] == 2


@pytest.mark.usefixtures("ray_session")
def test_roles_that_ask_for_the_same_share_workers(tmp_path: Path):
    """Here by default: the runner has no address. Depth asks for more, so it has its own."""
    small = RoleResources(num_cpus=0.125)
    resources = ActorResources(RoleResources(num_cpus=0.25), small, small, small)
    with RayRunner(BenchConfig(str(tmp_path)), 1, config=RayConfig(resources)) as runner:
        places = {}
        for role in Role:
            (outcome,) = runner.map(look_stage(role), [Task(f"shared {role}", 1)], _ignore)
            places[role] = outcome.value
        assert runner.workers_up() == dict.fromkeys(Role, 1)
    pids = {role: place.pid for role, place in places.items() if place is not None}
    assert pids[Role.MEMORY] == pids[Role.CHUNK] == pids[Role.MERGER] != pids[Role.DEPTH]


def test_idle_workers_that_died_are_replaced_and_no_item_is_blamed(
    ray_session: RaySession, tmp_path: Path
):
    small = RoleResources(num_cpus=0.125)
    config = RayConfig(resources=ActorResources(chunk=small), dispatch=DispatchPolicy(attempts=1))
    stage = look_stage(Role.CHUNK)
    with RayRunner(BenchConfig(str(tmp_path)), workers=2, config=config) as runner:
        works = [Task("idle", n, sleep_s=0.3) for n in range(8)]
        before = {
            outcome.value.pid for outcome in runner.map(stage, works[:4], _ignore) if outcome.value
        }
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        outcomes = runner.map(stage, works[4:], _ignore)
    assert [outcome.failure for outcome in outcomes] == [None] * 4
    assert not before & {outcome.value.pid for outcome in outcomes if outcome.value}


def test_many_items_are_not_in_flight_at_once(ray_runner: RayRunner, store_root: Path):
    """When the first of a hundred items fails, only a few can have been begun."""
    works = [Task("bounded", n, "square" if n else "defect", sleep_s=0.2) for n in range(100)]
    with pytest.raises(ValueError, match="task 0"):
        ray_runner.map(STAGE, works, _ignore)
    time.sleep(0.5)
    assert sum(times_begun(store_root, STAGE.key(work)) for work in works) < 20


def _config(**depth: float) -> RayConfig:
    return RayConfig(resources=ActorResources(depth=RoleResources(**depth)))


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    ("depth", "asked"),
    [({"num_cpus": 1000}, "CPU 1000"), ({"memory_mib": 10**9}, "memory 1000000000 MiB")],
)
def test_what_no_node_can_ever_give_fails_at_once(
    depth: dict[str, float], asked: str, tmp_path: Path
):
    runner = RayRunner(BenchConfig(str(tmp_path)), workers=1, config=_config(**depth))
    start = time.monotonic()
    with runner, pytest.raises(RunnerError) as caught:
        runner.map(STAGE, [Task("infeasible", 1)], _ignore)
    assert time.monotonic() - start < 5
    assert asked in str(caught.value)
    assert "the cluster has 1 x (CPU 4" in str(caught.value)


@pytest.mark.usefixtures("ray_session")
def test_a_cluster_that_others_hold_is_not_waited_for_for_ever(tmp_path: Path):
    @ray.remote(num_cpus=3)
    class Greedy:
        def up(self) -> bool:
            return True

    runner = RayRunner(
        BenchConfig(str(tmp_path)),
        workers=1,
        config=RayConfig(
            resources=ActorResources(depth=RoleResources(num_cpus=2)), start_timeout_s=3
        ),
    )
    greedy = Greedy.remote()
    assert ray.get(greedy.up.remote())
    try:
        with runner, pytest.raises(RunnerError, match="no depth worker came up"):
            runner.map(STAGE, [Task("held", 1)], _ignore)
    finally:
        ray.kill(greedy)


@pytest.mark.usefixtures("ray_session")
def test_the_breaker_stops_a_stage_in_which_every_worker_dies(tmp_path: Path):
    config = RayConfig(dispatch=DispatchPolicy(deaths_without_progress=2))
    works = [Task("breaker", n, "die always") for n in range(50)]
    with (
        RayRunner(BenchConfig(str(tmp_path)), workers=2, config=config) as runner,
        pytest.raises(RunnerError, match=r"[34] workers died and nothing got done"),
    ):
        runner.map(STAGE, works, _ignore)


@pytest.mark.parametrize("num_cpus", [2.5, 1.95])
def test_roles_take_turns_where_there_is_room_for_one(
    num_cpus: float, ray_runner: RayRunner, tmp_path: Path
):
    """A pool makes room by what the nodes have (2 x 2.5 of 4), or since others hold a part."""
    ray_runner.map(STAGE, [Task(f"others hold a part {num_cpus}", 1)], _ignore)
    big = RoleResources(num_cpus=num_cpus)
    config = RayConfig(
        resources=ActorResources(depth=big, chunk=big), patience_s=1, shared_workers=False
    )
    with RayRunner(BenchConfig(str(tmp_path)), workers=1, config=config) as runner:
        for role in (Role.DEPTH, Role.CHUNK, Role.DEPTH):
            works = _tasks(f"turns {role} {runner.workers_up()}", {}, count=2)
            outcomes = runner.map(perform_stage(role), works, _ignore)
            assert [outcome.value for outcome in outcomes] == [Square(0), Square(1)]
            assert runner.workers_up() == {role: 1}


@pytest.mark.usefixtures("ray_session")
def test_a_store_that_workers_cannot_open_is_raised(tmp_path: Path):
    """The driver opens the store, then its folder is replaced by a file."""
    root = tmp_path / "store"
    with RayRunner(BenchConfig(str(root)), workers=1) as runner:
        root.rmdir()
        root.write_bytes(b"")
        with pytest.raises(StoreError, match="cannot"):
            runner.map(STAGE, [Task("blocked", 1)], _ignore)


@pytest.mark.usefixtures("ray_session")
def test_closing_lets_what_is_in_flight_finish(tmp_path: Path):
    runner = RayRunner(BenchConfig(str(tmp_path)), workers=2)
    works = [Task("closing", n, sleep_s=0.4) for n in range(40)]
    begun = threading.Event()
    raised: list[BaseException] = []

    def work() -> None:
        def report(progress: Progress) -> None:
            if progress.done >= 2:
                begun.set()

        try:
            runner.map(STAGE, works, report)
        except RunnerError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(120)
    runner.close()
    thread.join(30)
    assert [str(error) for error in raised] == [f"the runner was closed during stage {STAGE.name}"]
    begun_counts = [times_begun(tmp_path, STAGE.key(work)) for work in works]
    finished = [(tmp_path / STAGE.key(work) / "result.json").exists() for work in works]
    assert sum(finished) >= 2
    assert [count > 0 for count in begun_counts] == finished, "nothing was cut off"
    assert sum(finished) < 40
    with pytest.raises(RunnerError, match="closed"):
        runner.map(STAGE, works, _ignore)
    runner.close()
    assert list((tmp_path / "probe").iterdir()) == []


def test_settings_that_cannot_work_are_refused(ray_session: RaySession, tmp_path: Path):
    with pytest.raises(ConfigError, match="workers"):
        RayRunner(BenchConfig(str(tmp_path)), workers=0)
    with pytest.raises(ConfigError, match="object_store_mib"):
        RayConfig(object_store_mib=10)
    with pytest.raises(StoreError, match="relative"):
        RayRunner(BenchConfig("relative"))
