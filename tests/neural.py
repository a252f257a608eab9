"""Fits of the implicit surface that take seconds."""

from collections.abc import Iterator

import pytest
import torch

from worldloom.neural import NeuralConfig

QUICK = NeuralConfig(
    steps=40, rays=192, samples=8, levels=4, features=2, table_log2=14, checkpoint_steps=10
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the stage has it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
