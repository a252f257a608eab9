"""The connection to Ray: a local cluster of one's own, or one that is there."""

import importlib
import logging
import os
import secrets
import socket
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray.autoscaler.sdk import request_resources
from ray.exceptions import AuthenticationError, RayError

import worldloom
from actors.remote import THREADS
from cluster.capacity import Node
from cluster.ray_job import in_ray_job
from worldloom.errors import RunnerError

_logger = logging.getLogger(__name__)
_SHIPPED = ("worldloom", "actors")
"""Packages that workers import."""
_CONNECT_TIMEOUT_S = 10.0


class RaySession:
    """Starts or joins Ray once, and undoes only what it did.

    Args:
        address: `host:port` of a cluster; None for the one that `RAY_ADDRESS` names (inside a Ray
            job), or else for a local one that lives as long as this session.
        local_cpus: CPUs of a local cluster.
        object_store_mib: Shared memory of a local cluster.
        dashboard: Whether a local cluster has a dashboard.
        log_to_driver: Whether the output of the workers is shown here.
    """

    def __init__(
        self,
        address: str | None,
        *,
        local_cpus: float,
        object_store_mib: int,
        dashboard: bool,
        log_to_driver: bool,
    ) -> None:
        self.address = _address(address)
        self._local_cpus = local_cpus
        self._object_store_mib = object_store_mib
        self._dashboard = dashboard
        self._log_to_driver = log_to_driver
        self._owned = False
        self._started = False
        self._asked = False

    def start(self) -> bool:
        """Connects, and returns whether it had to: False where it is connected.

        Raises:
            RunnerError: there is no such cluster, it does not let us in, or none can be started.
        """
        if self._started and ray.is_initialized():
            return False
        if ray.is_initialized():
            _logger.info("using the Ray session that this process has already")
        elif self.address is None:
            self._init("local", {"env_vars": _worker_env(local=True)}, **self._local_options())
            self._owned = True
        else:
            _require_listening(self.address)
            self._init(self.address, _environment_to_ship())
            self._owned = True
        self._started = True
        return True

    def nodes(self) -> list[Node]:
        """Returns the living nodes."""
        described: list[dict[str, Any]] = ray.nodes()
        return [
            Node(str(node["NodeManagerHostname"]), node["Resources"])
            for node in described
            if node["Alive"]
        ]

    def actor_env(self) -> Mapping[str, str]:
        """Returns the environment that each actor has to be given on its own.

        That of the whole job serves where it is ours: processes that Ray has started ahead fit it,
        which saves a second for each worker.
        """
        if self._owned and not in_ray_job():
            return {}
        return _worker_env(local=self.address is None)

    def ask_for(self, request: Mapping[str, float], count: int) -> None:
        """Asks the autoscaler of the cluster for room for some workers at once; 0: asks nothing.

        Args:
            request: What one worker asks of a node.
            count: Workers.
        """
        if count == 0:
            return
        request_resources(bundles=[dict(request)] * count)
        self._asked = True

    def close(self) -> None:
        """Disconnects; a local cluster that was started here ends."""
        if self._asked and ray.is_initialized():
            request_resources(bundles=[])
            self._asked = False
        if self._owned and ray.is_initialized():
            ray.shutdown()
        self._owned = self._started = False

    def _local_options(self) -> dict[str, Any]:
        _provide_token()
        return {
            "num_cpus": self._local_cpus,
            "object_store_memory": self._object_store_mib * 2**20,
            "include_dashboard": self._dashboard,
        }

    def _init(self, address: str, environment: dict[str, Any], **options: Any) -> None:
        where = "a local Ray cluster" if address == "local" else f"the Ray cluster at {address}"
        authentication = logging.getLogger("ray._private.authentication.authentication_token_setup")
        level = authentication.level
        authentication.setLevel(logging.ERROR)
        try:
            ray.init(
                address=address,
                runtime_env=environment,
                log_to_driver=self._log_to_driver,
                logging_level=logging.ERROR,
                **options,
            )
        except AuthenticationError as error:
            raise RunnerError(
                f"{where} wants its token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or put the "
                "token into ~/.ray/auth_token), the same as on the cluster",
                address=address,
            ) from error
        except (RayError, OSError, RuntimeError, ValueError) as error:
            raise RunnerError(
                f"cannot use {where}: {error}; see that it runs, that its version is "
                f"{ray.__version__}, and, where a token protects it, that RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN are set; or use --runner inline",
                address=address,
            ) from error
        finally:
            authentication.setLevel(level)


def joins(address: str | None) -> bool:
    """Returns whether a session with such an address joins a cluster and starts none."""
    return _address(address) is not None


def _address(given: str | None) -> str | None:
    return given or os.environ.get("RAY_ADDRESS") or None


def _provide_token() -> None:
    """Gives a local cluster a token of its own, where the user has set none up.

    Ray protects local clusters by a token, and by default writes a new one into the home folder:
    that fails where there is no writable home, and two first starts at once overwrite each other's.
    A token in the environment reaches exactly the processes that this one starts.
    """
    mode = os.environ.get("RAY_AUTH_MODE", "token").lower()
    stored = Path(os.path.expanduser("~")) / ".ray" / "auth_token"
    given = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    if mode == "token" and not given and not stored.is_file():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _require_listening(address: str) -> None:
    """Checks that something answers at `host:port`; Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise RunnerError(
            f"{address} is not the address of a Ray cluster; give host:port, such as "
            "10.0.0.5:6379, or auto",
            address=address,
        )
    try:
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise RunnerError(
            f"nothing answers at {address}: {error}; see that the Ray cluster runs and that its "
            "port is open",
            address=address,
        ) from error


def _worker_env(*, local: bool) -> dict[str, str]:
    """Returns the environment of workers: single threads, and where our code is.

    A local worker runs the same interpreter, so an installed package is there; a checkout that is
    not installed has to be named. Other nodes get the packages by `_environment_to_ship`.
    """
    root = str(Path(worldloom.__file__).resolve().parent.parent)
    if not local or root in _site_folders():
        return dict(THREADS)
    inherited = os.environ.get("PYTHONPATH", "")
    return {**THREADS, "PYTHONPATH": os.pathsep.join(part for part in (root, inherited) if part)}


def _environment_to_ship() -> dict[str, Any]:
    """Returns the job environment that brings our packages to the nodes of a cluster.

    A job that was submitted to Ray has its code from the submission, and its environment must not
    be given twice.
    """
    if in_ray_job():
        return {}
    folders = [str(Path(str(importlib.import_module(name).__file__)).parent) for name in _SHIPPED]
    return {"env_vars": _worker_env(local=False), "py_modules": folders}


def _site_folders() -> set[str]:
    paths = sysconfig.get_paths()
    return {str(Path(paths[name]).resolve()) for name in ("purelib", "platlib")}
