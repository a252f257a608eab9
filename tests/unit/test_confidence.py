"""Confidence as a probability."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worldloom.depth import Evidence
from worldloom.depth._confidence import calibrated


def confidence(
    support: float,
    contradicted: int,
    matched: float,
    *,
    confirmed: bool = True,
    edge_on: bool = False,
) -> float:
    one = np.ones((1, 1))
    evidence = Evidence(
        support * one,
        (contradicted * one).astype(np.int32),
        (matched * one).astype(np.float32),
        (confirmed * one).astype(bool),
        (edge_on * one).astype(bool),
    )
    return float(calibrated(evidence.terms())[0, 0])


@given(st.floats(0, 16), st.integers(0, 16), st.floats(0, 1))
def test_more_voices_and_a_better_match_raise_it_and_doubts_lower_it(
    support: float, contradicted: int, matched: float
) -> None:
    here = confidence(support, contradicted, matched)
    assert 0 < here < 1
    assert confidence(support + 1, contradicted, matched) > here
    assert confidence(support, contradicted + 1, matched) < here
    assert confidence(support, contradicted, matched + 0.1) > here
    assert confidence(support, contradicted, matched, confirmed=False) < here
    assert confidence(support, contradicted, matched, edge_on=True) < here


def test_what_many_views_agree_on_is_nearly_sure_and_what_few_say_is_not() -> None:
    assert confidence(12, 0, 0.9) > 0.9
    assert confidence(0.5, 0, 0.2) < 0.7
    assert confidence(0.5, 2, 0.2) < 0.25
    assert confidence(0.2, 0, 0.9, confirmed=False) < 0.5
