from dataclasses import dataclass
from pathlib import Path

import pytest
from ray import cloudpickle

import actors
import cluster
from actors.remote import CLASSES, CONTROL_GROUP, ActorSpec, actor_options
from actors.resources import ActorResources, RoleResources
from actors.roles import ChunkActor, DepthActor, MemoryActor, MergerActor, SharedActor
from actors.worker import PROBE_FILE
from worldloom.bench import Bench, BenchConfig
from worldloom.errors import ConfigError, RunnerError, StoreError
from worldloom.stage import Outcome, Role, Stage
from worldloom.store import ArtifactKey, Store


@dataclass(frozen=True)
class Number:
    n: int

    @property
    def subject(self) -> str:
        return f"number {self.n}"


@dataclass(frozen=True)
class Square:
    n: int


def _square(bench: Bench, key: ArtifactKey, work: Number) -> Square:
    return Square(work.n**2)


SQUARE = Stage("square", 1, Role.DEPTH, Square, _square)
KINDS = [DepthActor, MemoryActor, ChunkActor, MergerActor]


def test_packages_hold_a_docstring_only():
    for package in (actors, cluster):
        source = Path(str(package.__file__)).read_text().strip()
        assert source.startswith('"""')
        assert source.endswith('"""')
        assert source.count('"""') == 2


def test_each_role_has_its_class():
    assert list(CLASSES) == list(Role)
    assert list(CLASSES.values()) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_an_actor_is_a_plain_object(kind: type[DepthActor], tmp_path: Path):
    actor = kind(BenchConfig(str(tmp_path)))
    before = actor.ready()
    assert before.executed == 0
    assert before.peak_memory_mib > 1
    assert actor.run(SQUARE, Number(3)) == Outcome(Square(9))
    assert actor.run(SQUARE, Number(3)) == Outcome(Square(9), reused=True)
    last = actor.close()
    assert last.executed == 2
    assert last.pid == before.pid
    assert last.peak_memory_mib >= before.peak_memory_mib


def test_an_actor_without_a_bench_says_so_when_it_is_asked(tmp_path: Path):
    actor = DepthActor(BenchConfig("relative/path"))
    with pytest.raises(StoreError, match="relative/path"):
        actor.ready()


def test_an_actor_that_sees_another_store_refuses(tmp_path: Path):
    probe = ArtifactKey("probe/driver")
    Store(str(tmp_path / "a")).write(probe, PROBE_FILE, b"x")
    DepthActor(BenchConfig(str(tmp_path / "a"))).ready(probe)
    with pytest.raises(RunnerError, match="does not see the files of the driver"):
        DepthActor(BenchConfig(str(tmp_path / "b"))).ready(probe)


def test_roles_differ_in_cache():
    shares = [kind.cache_share for kind in KINDS]
    assert shares == [1.0, 0.5, 1.0, 0.25]


def _spec(resources: RoleResources, *, on_gpu: bool) -> ActorSpec:
    return ActorSpec((Role.CHUNK,), resources, BenchConfig("/x"), on_gpu, {"A": "1"})


def test_options_of_a_worker():
    resources = RoleResources(num_cpus=2, memory_mib=100, max_concurrency=3, max_restarts=1)
    assert actor_options(_spec(resources, on_gpu=True), "name") == {
        "name": "name",
        "num_cpus": 2,
        "num_gpus": 0,
        "memory": 100 * 2**20,
        "max_concurrency": 3,
        "max_restarts": 1,
        "max_task_retries": 0,
        "concurrency_groups": {CONTROL_GROUP: 1},
        "runtime_env": {"env_vars": {"A": "1"}},
    }


def test_without_a_gpu_the_same_actor_asks_for_a_cpu():
    resources = RoleResources(num_cpus=0, num_gpus=0.5, memory_mib=0)
    assert _spec(resources, on_gpu=True).request() == {"GPU": 0.5}
    assert _spec(resources, on_gpu=False).request() == {"CPU": 1.0}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"num_cpus": -1}, "num_cpus"),
        ({"num_cpus": 0}, "num_cpus"),
        ({"memory_mib": -1}, "memory_mib"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_restarts": -2}, "max_restarts"),
    ],
)
def test_resources_that_cannot_work_are_refused(change: dict[str, float], field: str):
    with pytest.raises(ConfigError) as caught:
        RoleResources(**change)
    assert caught.value.ids["field"] == field


def test_roles_that_differ_in_memory_alone_share_a_worker_with_the_most_of_it():
    resources = ActorResources(depth=RoleResources(num_gpus=0.5))
    assert resources.alike() == [(Role.DEPTH,), (Role.MEMORY, Role.CHUNK, Role.MERGER)]
    assert resources.of_all(resources.alike()[1]).memory_mib == 1536
    spec = ActorSpec(resources.alike()[1], RoleResources(), BenchConfig("/x"), False, {})
    assert (spec.kind, spec.actor_class) == ("shared", SharedActor)


def test_every_role_books_memory_and_has_resources():
    assert all(ActorResources().of(role).memory_mib > 0 for role in Role)
    assert ActorResources(merger=RoleResources(7)).of(Role.MERGER).num_cpus == 7


@pytest.mark.parametrize("kind", KINDS)
def test_classes_travel_by_name(kind: type[DepthActor]):
    assert cloudpickle.loads(cloudpickle.dumps(kind)) is kind
