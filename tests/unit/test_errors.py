import pickle

import pytest

import worldloom.errors
from worldloom.errors import WorldloomError


def _all_kinds(kind: type[WorldloomError]) -> list[type[WorldloomError]]:
    return [kind, *(below for sub in kind.__subclasses__() for below in _all_kinds(sub))]


KINDS = sorted(set(_all_kinds(WorldloomError)), key=lambda kind: kind.__qualname__)


def test_every_error_of_the_module_is_covered():
    declared = {
        value
        for value in vars(worldloom.errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert declared <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_errors_survive_pickling(kind: type[WorldloomError], protocol: int):
    error = kind("frame 3 is broken; encode it again", path="a.mp4", frame=3, view=None, x=0.5)
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is kind
    assert str(again) == again.message == "frame 3 is broken; encode it again"
    assert again.ids == {"path": "a.mp4", "frame": 3, "view": None, "x": 0.5}
    assert again.args == error.args
    assert pickle.dumps(again, protocol) == pickle.dumps(error, protocol)
