import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.capacity import (
    Node,
    describe,
    describe_nodes,
    fit_together,
    has_gpu,
    require_feasible,
    slots,
)
from worldloom.errors import RunnerError

GIB = float(2**30)
LAPTOP = Node("laptop", {"CPU": 2.0, "memory": 4 * GIB, "object_store_memory": GIB})
SERVER = Node("server", {"CPU": 16.0, "GPU": 2.0, "memory": 64 * GIB})


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"CPU": 1.0}, 18),
        ({"CPU": 1.0, "memory": 3 * GIB}, 17),
        ({"CPU": 4.0}, 4),
        ({"CPU": 1.0, "GPU": 0.5}, 4),
        ({"GPU": 0.1}, 20),
        ({"CPU": 17.0}, 0),
        ({"TPU": 1.0}, 0),
    ],
)
def test_slots_are_bounded_by_the_scarcest_resource_of_each_node(
    request_: dict[str, float], expected: int
):
    assert slots([LAPTOP, SERVER], request_) == expected


def test_a_request_that_spans_nodes_does_not_fit():
    assert slots([LAPTOP] * 8, {"CPU": 3.0}) == 0


def test_no_node_has_no_slot():
    assert slots([], {"CPU": 1.0}) == 0
    assert not has_gpu([])
    assert has_gpu([LAPTOP, SERVER])


def test_what_can_never_run_is_named_with_what_there_is():
    with pytest.raises(RunnerError) as caught:
        require_feasible([LAPTOP, LAPTOP, SERVER], {"CPU": 32.0, "memory": GIB}, "chunk")
    message = str(caught.value)
    assert "CPU 32, memory 1024 MiB" in message
    assert "2 x (CPU 2, memory 4096 MiB)" in message
    assert "1 x (CPU 16, GPU 2, memory 65536 MiB)" in message
    assert caught.value.ids["role"] == "chunk"
    require_feasible([LAPTOP], {"CPU": 2.0}, "chunk")


def test_words():
    assert describe({}) == "nothing"
    assert describe_nodes([]) == "no node"


def test_workers_fit_together_by_node():
    one, two = {"CPU": 1.0}, {"CPU": 2.0}
    assert fit_together([LAPTOP, LAPTOP], [(one, 2), (two, 1)])
    assert not fit_together([LAPTOP, LAPTOP], [(one, 3), (two, 1)])
    assert fit_together([LAPTOP], [])


@given(st.integers(1, 5), st.integers(1, 8), st.floats(0.25, 8))
def test_exactly_the_slots_fit(nodes: int, cpus: int, asked: float):
    cluster = [Node(str(n), {"CPU": float(cpus)}) for n in range(nodes)]
    request = {"CPU": asked}
    count = slots(cluster, request)
    assert fit_together(cluster, [(request, count)])
    assert not fit_together(cluster, [(request, count + 1)])
