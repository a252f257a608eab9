"""Hosts of one machine: network namespaces on a bridge, each with a Ray node of its own.

Needs root and the `ip` command; nothing of it is seen outside its own namespaces.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BRIDGE = "wl-bridge"
PORT = 6379
_NETWORK = "10.77.0"


class HostError(RuntimeError):
    """What the machine does not allow."""


def can_make_hosts() -> bool:
    """Returns whether network namespaces can be made here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    made = subprocess.run(["ip", "netns", "add", "wl-probe"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", "wl-probe"], capture_output=True, check=False)
    return made.returncode == 0


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HostError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@dataclass
class Host:
    """A network namespace with an address."""

    number: int
    folder: Path
    """Session files of Ray."""
    environment: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    @property
    def name(self) -> str:
        """Of the namespace."""
        return f"wl-host{self.number}"

    @property
    def address(self) -> str:
        """In the network of the hosts."""
        return f"{_NETWORK}.{self.number}"

    def make(self) -> None:
        """Makes the namespace and plugs it into the bridge."""
        _ip("netns", "add", self.name)
        _ip(
            "link",
            "add",
            f"wl-v{self.number}",
            "type",
            "veth",
            "peer",
            "name",
            f"wl-e{self.number}",
        )
        _ip("link", "set", f"wl-e{self.number}", "netns", self.name)
        _ip("link", "set", f"wl-v{self.number}", "master", BRIDGE, "up")
        _ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", f"wl-e{self.number}")
        _ip("-n", self.name, "link", "set", f"wl-e{self.number}", "up")
        _ip("-n", self.name, "link", "set", "lo", "up")

    def plug(self, *, on: bool) -> None:
        """Connects or cuts the cable."""
        _ip("link", "set", f"wl-v{self.number}", "up" if on else "down")

    def run(self, *command: str, log: Path) -> subprocess.Popen[bytes]:
        """Starts a command on the host, which has a name of its own."""
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name]
        with log.open("ab") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *named, *command],
                stdout=file,
                stderr=file,
                env=self.environment,
                cwd=ROOT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def start_ray(self, head: "Host", cpus: int = 1, full_disk: Path | None = None) -> None:
        """Starts the Ray node of the host.

        Args:
            head: The host with the head of the cluster.
            cpus: That the node has on paper.
            full_disk: Folder, shared with the other hosts, that has no space left on this one: it
                lies under a file system that is full, so reading works and writing does not.
        """
        role = (
            ["--head", f"--port={PORT}", "--include-dashboard=false"]
            if head is self
            else [f"--address={head.address}:{PORT}"]
        )
        ray = str(Path(sys.executable).parent / "ray")
        self.run(
            *(() if full_disk is None else self._on_full_disk(full_disk)),
            *(ray, "start", *role, f"--node-ip-address={self.address}", f"--num-cpus={cpus}"),
            *(f"--temp-dir={self.folder}", "--object-store-memory=100000000", "--block"),
            *("--disable-usage-stats", "--memory=4000000000"),
            log=self.folder.with_suffix(".log"),
        )

    def _on_full_disk(self, folder: Path) -> tuple[str, ...]:
        layer = self.folder.with_suffix(".layer")
        layer.mkdir()
        script = (
            'mount -t tmpfs -o size=64k none "$0" && mkdir "$0/upper" "$0/work" && '
            'mount -t overlay -o "lowerdir=$1,upperdir=$0/upper,workdir=$0/work" none "$1" && '
            '{ cat /dev/zero > "$0/filling" 2> /dev/null || shift && exec "$@"; }'
        )
        return ("unshare", "--mount", "sh", "-c", script, str(layer), str(folder))

    def pids(self) -> list[int]:
        """Returns all processes of the host."""
        done = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in done.stdout.split()]

    def power_off(self, spared: tuple[int, ...] = ()) -> None:
        """Kills all processes of the host at once, but some."""
        for pid in self.pids():
            if pid not in spared:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for process in self.started:
            if process.pid not in spared:
                process.wait(timeout=30)
        self.started = [process for process in self.started if process.pid in spared]


@contextlib.contextmanager
def hosts(count: int, threads: dict[str, str]) -> Iterator[list[Host]]:
    """Makes hosts on one network; ends all that runs on them and removes them.

    Args:
        count: Hosts; the first is number 1.
        threads: Environment that every process gets.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        **threads,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "PYTHONPATH": str(ROOT),
        # Nodes that are cut off or dead are given up within seconds, not half a minute.
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_failure_threshold": "5",
    }
    made: list[Host] = []
    folder = Path(tempfile.mkdtemp(prefix="wl-"))
    try:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("link", "set", BRIDGE, "up")
        for number in range(1, count + 1):
            host = Host(number, folder / f"h{number}", environment)
            made.append(host)
            host.make()
        yield made
    finally:
        for host in made:
            host.power_off()
            with contextlib.suppress(HostError):
                _ip("netns", "del", host.name)
            with contextlib.suppress(HostError):
                _ip("link", "del", f"wl-v{host.number}")
        with contextlib.suppress(HostError):
            _ip("link", "del", BRIDGE)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_nodes(head: Host, count: int, timeout_s: float = 90.0) -> None:
    """Waits until the cluster has some living nodes.

    Raises:
        HostError: it has not, in time.
    """
    program = (
        "import ray, sys; ray.init(address=sys.argv[1], logging_level=40); "
        "print(sum(n['Alive'] for n in ray.nodes()))"
    )
    deadline_s = time.monotonic() + timeout_s
    last = ""
    while time.monotonic() < deadline_s:
        done = subprocess.run(
            [
                *("ip", "netns", "exec", head.name, sys.executable, "-c", program),
                f"{head.address}:{PORT}",
            ],
            env=head.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        last = done.stdout.strip() or done.stderr.strip()[-300:]
        if last == str(count):
            return
        time.sleep(1)
    raise HostError(f"{count} nodes did not come up: {last}")
