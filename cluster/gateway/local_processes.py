"""Jobs as processes of this machine."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cluster.gateway.launcher import LaunchState
from cluster.gateway.records import Node
from cluster.worker.confinement import Holder, holder_of, start_ticks
from cluster.worker.task import LOG_FILE, load_outcome
from worldloom.errors import RunnerError

_logger = logging.getLogger(__name__)
_GRACE_S = 10.0
_LOG_BYTES = 64 << 10
_KEPT_VARIABLES = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
    *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "NUMBA_CACHE_DIR"),
    *("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"),
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"),
)
"""What jobs get of our environment: not, for instance, the password of the database."""


_TRACES = "OTEL_"
"""Variables that say where traces go."""


class LocalProcesses:
    """Starts each job as a process with a session of its own, which outlives the gateway.

    After a restart a process is found by the lock that it holds on its folder, and by its pid with
    the time of its start, so that a pid that was given to another process is not taken for it.

    Args:
        folder_of: Folder of a job by its id.
        clock: Seconds since any moment.
    """

    def __init__(
        self, folder_of: Callable[[str], Path], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder_of = folder_of
        self._clock = clock
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping: dict[str, float] = {}
        self._lock = threading.Lock()

    def submit(
        self,
        entrypoint: Sequence[str],
        submission_id: str,
        env: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> str:
        """Starts a process; see `JobLauncher`."""
        with self._lock:
            if not self.status(submission_id).has_ended:
                return submission_id
            folder = self._folder_of(submission_id)
            variables = {
                key: value
                for key, value in os.environ.items()
                if key in _KEPT_VARIABLES or key.startswith(_TRACES)
            }
            command = [sys.executable, *entrypoint[1:]]
            try:
                with (folder / LOG_FILE).open("ab") as log:
                    self._children[submission_id] = subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        cwd=folder,
                        env=variables | dict(env),
                        start_new_session=True,
                    )
            except OSError as error:
                raise RunnerError(
                    f"the process of job {submission_id} cannot be started: {error}",
                    stage=submission_id,
                ) from error
            self._stopping.pop(submission_id, None)
            return submission_id

    def status(self, submission_id: str) -> LaunchState:
        """Returns what is known of a process; see `JobLauncher`."""
        child = self._children.get(submission_id)
        if child is not None:
            code = child.poll()
            if code is None:
                return LaunchState.RUNNING
        folder = self._folder_of(submission_id)
        if holder_of(folder) is not None:
            return LaunchState.RUNNING
        self._children.pop(submission_id, None)
        if self._stopping.pop(submission_id, None) is not None:
            return LaunchState.STOPPED
        outcome = load_outcome(folder)
        if outcome is None:
            return LaunchState.UNKNOWN if child is None else LaunchState.FAILED
        return LaunchState.SUCCEEDED if outcome.error is None else LaunchState.FAILED

    def stop(self, submission_id: str) -> None:
        """Asks a process to end, after 10 seconds without asking; see `JobLauncher`."""
        now_s = self._clock()
        first_s = self._stopping.setdefault(submission_id, now_s)
        number = signal.SIGTERM if now_s - first_s < _GRACE_S else signal.SIGKILL
        child = self._children.get(submission_id)
        if child is not None and child.poll() is None:
            _signal_session(child.pid, number)
            return
        holder = holder_of(self._folder_of(submission_id))
        if holder is not None:
            _signal_holder(holder, number)

    def logs(self, submission_id: str) -> str:
        """Returns the end of the log; see `JobLauncher`."""
        path = self._folder_of(submission_id) / LOG_FILE
        try:
            with path.open("rb") as stream:
                stream.seek(max(0, path.stat().st_size - _LOG_BYTES))
                return stream.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def nodes(self) -> tuple[Node, ...]:
        """Returns this machine; see `JobLauncher`."""
        pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        cpus = float(len(os.sched_getaffinity(0)))
        return (Node(os.uname().nodename, True, cpus, 0.0, pages * page_bytes),)


def _signal_holder(holder: Holder, number: int) -> None:
    if start_ticks(holder.pid) == holder.start_ticks:
        _signal_session(holder.pid, number)


def _signal_session(pid: int, number: int) -> None:
    """Signals a leader and what it started."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        _logger.info("the process %d has ended already", pid)
