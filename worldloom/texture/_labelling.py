"""One label for each node of a graph, at the least cost: tree-reweighted message passing.

Kolmogorov, "Convergent tree-reweighted message passing for energy minimization", TPAMI 2006: passes
over the nodes in a fixed order, forwards and backwards, after each of which labels are read off.
Unlike graph cuts it also tells how far from the optimum its answer can be at most.
"""

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, Int32, Int64

_ICM_ROUNDS = 10


@dataclass(frozen=True, eq=False)
class LabelProblem:
    """Costs of labels and of pairs of labels; nodes differ in which labels they have."""

    counts: Int32[np.ndarray, "n"]
    """Labels of each node; nodes with 0 have none, and no edge."""
    unary: Float32[np.ndarray, "n k"]
    """Cost of each label of a node."""
    edges: Int64[np.ndarray, "e 2"]
    """Two nodes each, the lower first."""
    pairwise: Float32[np.ndarray, "e k k"]
    """Cost of the labels of the two nodes of an edge."""

    def energy(self, choice: Int32[np.ndarray, "n"]) -> float:
        """Returns the cost of a choice: the index of a label for each node, -1 for none."""
        has = np.flatnonzero(self.counts > 0)
        single = float(self.unary[has, choice[has]].astype(np.float64).sum())
        s, t = self.edges[:, 0], self.edges[:, 1]
        pairs = self.pairwise[np.arange(len(self.edges)), choice[s], choice[t]]
        return single + float(pairs.astype(np.float64).sum())


@dataclass(frozen=True, eq=False)
class Labelling:
    """The labels found."""

    choice: Int32[np.ndarray, "n"]
    """Index into the labels of each node; -1 where it has none."""
    energy: float
    bound: float
    """No choice costs less than this."""


def labelled(problem: LabelProblem, iterations: int = 20) -> Labelling:
    """Finds labels of low cost.

    The result depends on the problem alone: everything is done in the order of the nodes.

    Args:
        problem: Costs.
        iterations: Passes forwards and backwards.
    """
    starts, around = _adjacency(len(problem.counts), problem.edges)
    choice, bound = _solve(
        problem.counts,
        problem.unary,
        problem.edges,
        problem.pairwise,
        starts,
        around,
        iterations,
    )
    return Labelling(choice, problem.energy(choice), bound)


def _adjacency(
    nodes: int, edges: Int64[np.ndarray, "e 2"]
) -> tuple[Int64[np.ndarray, "_"], Int64[np.ndarray, "_"]]:
    """Edges at each node, by the node at their other end."""
    ends = edges.T.ravel()
    others = edges[:, ::-1].T.ravel()
    order = np.lexsort((others, ends))
    starts = np.searchsorted(ends[order], np.arange(nodes + 1))
    return starts.astype(np.int64), (order % max(len(edges), 1)).astype(np.int64)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _belief(
    node: int,
    counts: np.ndarray,
    unary: np.ndarray,
    edges: np.ndarray,
    starts: np.ndarray,
    around: np.ndarray,
    messages: np.ndarray,
    out: np.ndarray,
) -> None:
    """Cost of the labels of a node with all that its neighbours say."""
    for i in range(counts[node]):
        out[i] = unary[node, i]
    for at in range(starts[node], starts[node + 1]):
        e = around[at]
        side = 0 if edges[e, 0] == node else 1
        for i in range(counts[node]):
            out[i] += messages[e, side, i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _send(
    e: int,
    node: int,
    share: float,
    belief: np.ndarray,
    counts: np.ndarray,
    edges: np.ndarray,
    pairwise: np.ndarray,
    messages: np.ndarray,
) -> None:
    """Updates the message from a node along an edge (equation 20 of the paper)."""
    first = edges[e, 0] == node
    back, forth = (0, 1) if first else (1, 0)
    other = edges[e, 1] if first else edges[e, 0]
    lowest = np.inf
    for j in range(counts[other]):
        best = np.inf
        for i in range(counts[node]):
            pair = pairwise[e, i, j] if first else pairwise[e, j, i]
            best = min(best, share * belief[i] - messages[e, back, i] + pair)
        messages[e, forth, j] = best
        lowest = min(lowest, best)
    for j in range(counts[other]):
        messages[e, forth, j] -= lowest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pass(
    forwards: bool,
    counts: np.ndarray,
    unary: np.ndarray,
    edges: np.ndarray,
    pairwise: np.ndarray,
    starts: np.ndarray,
    around: np.ndarray,
    messages: np.ndarray,
) -> None:
    belief = np.empty(unary.shape[1])
    nodes = len(counts)
    for step in range(nodes):
        node = step if forwards else nodes - 1 - step
        first, last = starts[node], starts[node + 1]
        if last == first:
            continue
        _belief(node, counts, unary, edges, starts, around, messages, belief)
        ahead = 0
        for at in range(first, last):
            ahead += edges[around[at], 0] == node
        share = 1.0 / max(ahead, last - first - ahead)
        for at in range(first, last):
            e = around[at]
            if (edges[e, 0] == node) == forwards:
                _send(e, node, share, belief, counts, edges, pairwise, messages)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _read_off(
    counts: np.ndarray,
    unary: np.ndarray,
    edges: np.ndarray,
    pairwise: np.ndarray,
    starts: np.ndarray,
    around: np.ndarray,
    messages: np.ndarray,
    choice: np.ndarray,
) -> None:
    """Labels in the order of the nodes, given those before (section 4.1 of the paper)."""
    for node in range(len(counts)):
        best, lowest = -1, np.inf
        for i in range(counts[node]):
            cost = np.float64(unary[node, i])
            for at in range(starts[node], starts[node + 1]):
                e = around[at]
                if edges[e, 1] == node:
                    cost += pairwise[e, choice[edges[e, 0]], i]
                else:
                    cost += messages[e, 0, i]
            if cost < lowest:
                best, lowest = i, cost
        choice[node] = best


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _improve(
    counts: np.ndarray,
    unary: np.ndarray,
    edges: np.ndarray,
    pairwise: np.ndarray,
    starts: np.ndarray,
    around: np.ndarray,
    choice: np.ndarray,
) -> bool:
    """Gives each node the best label among those of its neighbours (Besag, 1986)."""
    changed = False
    for node in range(len(counts)):
        best, lowest = choice[node], np.inf
        for i in range(counts[node]):
            cost = np.float64(unary[node, i])
            for at in range(starts[node], starts[node + 1]):
                e = around[at]
                if edges[e, 0] == node:
                    cost += pairwise[e, i, choice[edges[e, 1]]]
                else:
                    cost += pairwise[e, choice[edges[e, 0]], i]
            if cost < lowest or (cost == lowest and i == choice[node]):
                best, lowest = i, cost
        changed |= best != choice[node]
        choice[node] = best
    return changed


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cost(
    counts: np.ndarray,
    unary: np.ndarray,
    edges: np.ndarray,
    pairwise: np.ndarray,
    choice: np.ndarray,
) -> float:
    total = 0.0
    for node in range(len(counts)):
        if counts[node] > 0:
            total += unary[node, choice[node]]
    for e in range(len(edges)):
        total += pairwise[e, choice[edges[e, 0]], choice[edges[e, 1]]]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _lower_bound(
    counts: np.ndarray,
    unary: np.ndarray,
    edges: np.ndarray,
    pairwise: np.ndarray,
    starts: np.ndarray,
    around: np.ndarray,
    messages: np.ndarray,
) -> float:
    """Sum of the least costs of the edges, each with its share of its two nodes.

    Messages only move cost between nodes and edges, so the sum over all edges of any labelling is
    its energy, and that of the least cannot be above the least energy.
    """
    most = unary.shape[1]
    beliefs = np.empty((len(counts), most))
    total = 0.0
    for node in range(len(counts)):
        _belief(node, counts, unary, edges, starts, around, messages, beliefs[node])
        if counts[node] > 0 and starts[node] == starts[node + 1]:
            total += beliefs[node, : counts[node]].min()
    for e in range(len(edges)):
        s, t = edges[e, 0], edges[e, 1]
        share_s = 1.0 / (starts[s + 1] - starts[s])
        share_t = 1.0 / (starts[t + 1] - starts[t])
        lowest = np.inf
        for i in range(counts[s]):
            for j in range(counts[t]):
                own = pairwise[e, i, j] - messages[e, 0, i] - messages[e, 1, j]
                lowest = min(lowest, own + share_s * beliefs[s, i] + share_t * beliefs[t, j])
        total += lowest
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _solve(
    counts: np.ndarray,
    unary: np.ndarray,
    edges: np.ndarray,
    pairwise: np.ndarray,
    starts: np.ndarray,
    around: np.ndarray,
    iterations: int,
) -> tuple[np.ndarray, float]:
    messages = np.zeros((len(edges), 2, unary.shape[1]), np.float64)
    choice = np.full(len(counts), -1, np.int32)
    best = choice.copy()
    lowest, bound = np.inf, -np.inf
    for _ in range(iterations):
        _pass(True, counts, unary, edges, pairwise, starts, around, messages)
        _pass(False, counts, unary, edges, pairwise, starts, around, messages)
        _read_off(counts, unary, edges, pairwise, starts, around, messages, choice)
        for _ in range(_ICM_ROUNDS):
            if not _improve(counts, unary, edges, pairwise, starts, around, choice):
                break
        cost = _cost(counts, unary, edges, pairwise, choice)
        if cost < lowest:
            lowest = cost
            best[:] = choice
        bound = max(bound, _lower_bound(counts, unary, edges, pairwise, starts, around, messages))
    return best, bound
