import os
from pathlib import Path

import pytest

import worldloom
from cluster import session
from cluster.session import RaySession
from worldloom.errors import RunnerError

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("RAY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", "")


def _session(address: str | None) -> RaySession:
    return RaySession(
        address, local_cpus=1, object_store_mib=100, dashboard=False, log_to_driver=False
    )


def test_a_local_cluster_gets_a_token_of_its_own(tmp_path: Path):
    session._provide_token()
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert list(tmp_path.iterdir()) == [], "nothing is written into the home folder"
    first = os.environ["RAY_AUTH_TOKEN"]
    session._provide_token()
    assert os.environ["RAY_AUTH_TOKEN"] == first


@pytest.mark.parametrize(
    ("name", "value"),
    [("RAY_AUTH_MODE", "disabled"), ("RAY_AUTH_TOKEN_PATH", "/x/token"), ("RAY_AUTH_TOKEN", "y")],
)
def test_what_the_user_set_up_is_left_alone(name: str, value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, value)
    session._provide_token()
    assert {key: val for key, val in os.environ.items() if key.startswith("RAY_AUTH")} == {
        name: value
    }


def test_a_stored_token_is_used(tmp_path: Path):
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("stored")
    session._provide_token()
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_local_workers_find_a_checkout():
    environment = session._worker_env(local=True)
    root = str(Path(worldloom.__file__).parent.parent)
    assert environment.pop("PYTHONPATH", root) == root
    assert environment == dict.fromkeys(THREADS, "1")


def test_an_installed_package_needs_no_path(monkeypatch: pytest.MonkeyPatch):
    root = str(Path(worldloom.__file__).parent.parent)
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"purelib": root, "platlib": root})
    assert "PYTHONPATH" not in session._worker_env(local=True)


def test_other_nodes_get_the_packages(monkeypatch: pytest.MonkeyPatch):
    shipped = session._environment_to_ship()
    assert [Path(folder).name for folder in shipped["py_modules"]] == ["worldloom", "actors"]
    assert all((Path(folder) / "__init__.py").is_file() for folder in shipped["py_modules"])
    assert shipped["env_vars"] == dict.fromkeys(THREADS, "1")
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert session._environment_to_ship() == {}, "a submitted job has its code"


def test_a_ray_job_runs_on_its_cluster(monkeypatch: pytest.MonkeyPatch):
    assert _session(None).address is None
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert _session(None).address == "10.0.0.1:6379"
    assert _session("10.0.0.2:6379").address == "10.0.0.2:6379"


@pytest.mark.parametrize("address", ["nonsense", "host:", ":6379", "host:port"])
def test_what_is_no_address_is_refused(address: str):
    with pytest.raises(RunnerError, match="is not the address of a Ray cluster") as caught:
        _session(address).start()
    assert caught.value.ids["address"] == address


def test_an_address_where_nothing_listens_is_refused():
    with pytest.raises(RunnerError, match=r"nothing answers at 127\.0\.0\.1:1"):
        _session("127.0.0.1:1").start()


@pytest.mark.parametrize("error", [ConnectionError("refused"), RuntimeError("other version")])
def test_errors_of_ray_say_what_to_do(error: Exception, monkeypatch: pytest.MonkeyPatch):
    def fail(**_options: object) -> None:
        raise error

    monkeypatch.setattr("ray.init", fail)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(RunnerError, match=f"{error}.*RAY_AUTH_TOKEN.*--runner inline"):
        _session(None).start()
