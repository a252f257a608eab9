"""What all tests share: no Ray where it does not belong, and the folder of recorded data."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numba
import pytest

ROOT = Path(__file__).resolve().parent.parent

# A red test is about the change, not about the dice or a busy machine.
hypothesis.settings.register_profile("worldloom", deadline=None, derandomize=True)
hypothesis.settings.load_profile("worldloom")


def _compiling_plain_functions(compiler: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a compiler decorator that looks below wrappers.

    jaxtyping's import hook wraps every function below all other decorators, and numba cannot
    compile the wrapper; so kernels are compiled from the plain function, as outside of tests.
    """

    def compile_plain(*args: Any, **options: Any) -> Any:
        if args and inspect.isfunction(args[0]):
            return compiler(inspect.unwrap(args[0]), *args[1:], **options)
        decorate = compiler(*args, **options)
        return lambda function: decorate(inspect.unwrap(function))

    return compile_plain


numba.njit = _compiling_plain_functions(numba.njit)
numba.jit = _compiling_plain_functions(numba.jit)
numba.vectorize = _compiling_plain_functions(numba.vectorize)
numba.guvectorize = _compiling_plain_functions(numba.guvectorize)


@pytest.fixture(autouse=True)
def _no_ray(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps Ray out of the quick tests."""
    folder = request.path.relative_to(ROOT / "tests").parts[0]
    if folder not in {"unit", "properties"}:
        return

    def refuse(*_args: object, **_options: object) -> None:
        pytest.fail("unit and property tests must not start Ray; move this to tests/integration")

    monkeypatch.setattr("ray.init", refuse)
    # The session of the integration tests may still be there.
    monkeypatch.setattr("ray.is_initialized", lambda: False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded scenes, which is no part of the project."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no recorded data: {folder} does not exist")
    return folder
