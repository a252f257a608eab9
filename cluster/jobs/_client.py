"""Ray's client for jobs, with our address, a time-out, and errors that can be told apart."""

import logging
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

import ray
import requests
from ray.dashboard.modules.dashboard_sdk import SubmissionClient
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from worldloom.errors import JobError

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
_CONNECT_S = 10.0
_ANSWER_S = 120.0
_NOT_FOUND = 404
_CHATTY = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers that tell how each package is uploaded; of use in Ray's own command."""
_TOKEN = (
    "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or put the token into ~/.ray/auth_token), "
    "the same as on the cluster"
)


class RequestRefusedError(RuntimeError):
    """An answer that is not 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status

    @property
    def not_found(self) -> bool:
        """True where the cluster does not know the thing."""
        return self.status == _NOT_FOUND


class Client(JobSubmissionClient):
    """Asks exactly the given address.

    Ray's own client lets RAY_API_SERVER_ADDRESS and RAY_ADDRESS override the address that it is
    given, waits for ever, and raises one kind of error for all refusals.

    Args:
        address: `http://HEAD:8265`.
        headers: Of every request; with none, Ray adds the token of the environment.
    """

    def __init__(self, address: str, headers: dict[str, str]) -> None:
        self._client_ray_version = ray.__version__
        SubmissionClient.__init__(self, address, headers=headers)
        # aiohttp, which follows logs, has deprecated Ray's None; both mean: verify.
        self._ssl_context = True
        self._check_connection_and_version()

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", (_CONNECT_S, _ANSWER_S))
        return super()._do_request(method, endpoint, **options)

    def _raise_error(self, r: requests.Response) -> NoReturn:
        raise RequestRefusedError(r.status_code, r.text)


def connected(address: str, token: str | None) -> Client:
    """Returns a client of the cluster at an address.

    Raises:
        JobError: nothing answers there, it is no Ray, or the token is not the right one.
    """
    _require_listening(address)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    with errors_told(address):
        return Client(address, headers)


@contextmanager
def errors_told(address: str, job: str | None = None) -> Generator[None]:
    """Turns what Ray's client raises into a `JobError` that says what to do."""
    try:
        yield
    except AuthenticationError as error:
        raise JobError(
            f"the Ray cluster at {address} does not take our token: {_TOKEN}",
            address=address,
            job=job,
        ) from error
    except (ConnectionError, requests.ConnectionError, requests.Timeout) as error:
        raise _no_answer(address, str(error)) from error
    except RequestRefusedError as error:
        if error.not_found and job is not None:
            raise JobError(
                f"the Ray cluster at {address} knows no job {job}; see `worldloom job list`. Jobs "
                "are forgotten when their cluster ends",
                address=address,
                job=job,
            ) from error
        reason = str(error).strip().splitlines()[-1:] or ["no reason given"]
        raise JobError(
            f"the Ray cluster at {address} refused (HTTP {error.status}): {reason[0]}",
            address=address,
            job=job,
        ) from error
    except (RuntimeError, ValueError, requests.RequestException) as error:
        raise JobError(
            f"what answers at {address} is no Ray {ray.__version__} dashboard: {error}; give the "
            "address of the dashboard, http://HEAD:8265",
            address=address,
            job=job,
        ) from error


def _require_listening(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise JobError(
            f"{address} is not the address of a dashboard; give http://HEAD:8265", address=address
        )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), _CONNECT_S).close()
    except OSError as error:
        raise _no_answer(address, str(error)) from error


def _no_answer(address: str, reason: str) -> JobError:
    return JobError(
        f"nothing answers at {address}: {reason}; see that the Ray cluster runs with its "
        "dashboard, and that the port is open (8265 by default)",
        address=address,
    )
