"""Jobs of a real cluster with its dashboard, protected by a token."""

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cluster.jobs import JobState, RayJobs
from tests.integration.scenes import CONFIG, make, write_input
from tests.ports import free_ports
from worldloom.errors import JobError
from worldloom.inline import InlineRunner
from worldloom.texture import TextureConfig

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Head:
    """A head node of our own."""

    address: str
    metrics: str
    token: str
    folder: Path
    """Ray's temporary files."""

    def env(self, token: str | None = None) -> dict[str, str]:
        """The environment of a user who has the token."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        given = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token or self.token}
        return kept | given | {"PYTHONPATH": str(ROOT)}

    def call(self, *words: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the `worldloom` command."""
        command = [sys.executable, "-m", "cluster", *words]
        return subprocess.run(command, env=self.env(token), capture_output=True, text=True)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """Started as administrators do, in a folder where our packages are not on the path."""
    port, dashboard, metrics, agent = free_ports(4)
    token = secrets.token_hex(32)
    # Sockets of Ray lie in there, and their paths may have 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="wl", dir="/tmp") as folder:
        made = Head(
            f"http://127.0.0.1:{dashboard}", f"http://127.0.0.1:{metrics}", token, Path(folder)
        )
        env = made.env() | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "RAY_metrics_report_interval_ms": "500",
        }
        del env["PYTHONPATH"]
        cwd = tmp_path_factory.mktemp("head")
        command = [
            *(str(BIN / "ray"), "start", "--head", "--block", "--num-cpus", "4"),
            *("--node-ip-address", "127.0.0.1", "--port", str(port)),
            *("--dashboard-port", str(dashboard), "--metrics-export-port", str(metrics)),
            # Two clusters of one machine would want the same port for it.
            *("--dashboard-agent-listen-port", str(agent)),
            *("--temp-dir", folder, "--object-store-memory", str(128 * 2**20)),
            "--disable-usage-stats",
        ]
        with (cwd / "ray.log").open("w") as log:
            process = subprocess.Popen(command, cwd=cwd, env=env, stdout=log, stderr=log)
        try:
            _wait_for(made, process, cwd / "ray.log")
            yield made
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(head: Head, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + 60
    while not _answers(head):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.3)


def _answers(head: Head) -> bool:
    try:
        RayJobs(head.address, head.token)
    except JobError:
        return False
    return True


@pytest.fixture(scope="module")
def jobs(head: Head) -> RayJobs:
    return RayJobs(head.address, head.token)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_input(tmp_path_factory.mktemp("source"))


@dataclass(frozen=True)
class Plain:
    """A job that Ray's own command has submitted, and what shall come out of it."""

    process: subprocess.Popen[str]
    out: Path


@pytest.fixture(scope="module")
def plain(head: Head, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    """Runs beside the other tests: in a working directory of its own, kernels compile anew."""
    out = tmp_path_factory.mktemp("plain") / "out"
    command = [
        *(str(BIN / "ray"), "job", "submit", "--address", head.address, "--working-dir", "."),
        *("--", "python", "-m", "cluster", *_words(source, out)),
    ]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=head.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield Plain(process, out)
        process.kill()


@pytest.fixture(scope="module")
def expected(
    source: Path,
    plain: Plain,  # begun before this
    tmp_path_factory: pytest.TempPathFactory,
) -> bytes:
    """The mesh that one thread of this process makes."""
    config = replace(CONFIG, depth_estimation=False, texture=TextureConfig(textures=False))
    return (
        make(source, tmp_path_factory.mktemp("here"), config, InlineRunner).folder / "mesh.ply"
    ).read_bytes()


def _words(source: Path, out: Path) -> list[str]:
    return [
        *("reconstruct", str(source / "video.mp4"), "--trajectory", str(source / "camera.json")),
        *("--out", str(out), "--resolution", "128", "--surface.min-component-faces", "20"),
        *(
            "--no-textures",
            "--no-report",
            "--no-depth-refinement",
            "--workers",
            "1",
            "--log-format",
            "json",
        ),
    ]


def _metrics(head: Head) -> dict[str, float]:
    """Our metrics, by name and the labels that are ours."""
    with urllib.request.urlopen(f"{head.metrics}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found: dict[str, float] = {}
    for line in lines:
        if line.startswith("ray_worldloom_"):
            name, labels, value = re.match(r"(\w+)\{(.*)\} (\S+)", line).groups()  # type: ignore[union-attr]
            ours = re.findall(r'\b(stage|outcome|direction|le)="([^"]*)"', labels)
            found[" ".join([name, *(f"{key}={value}" for key, value in sorted(ours))])] = float(
                value
            )
    return found


def test_a_submitted_reconstruction_is_the_local_one_and_is_measured(
    head: Head, jobs: RayJobs, source: Path, expected: bytes, tmp_path: Path
):
    words = _words(source, tmp_path / "out")
    where = ("--address", head.address, "--id", "shipped", "--json")
    done = head.call("submit", *where, "--ship", "yes", "--no-wait", "--", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["job"] == "shipped"
    seen: dict[str, float] = {}
    while not jobs.status("shipped").ended:
        seen |= _metrics(head)
        time.sleep(0.3)
    log = jobs.logs("shipped")
    assert jobs.status("shipped") is JobState.SUCCEEDED, log
    assert (tmp_path / "out" / "mesh.ply").read_bytes() == expected

    assert seen["ray_worldloom_items_total outcome=made stage=depth"] == 8
    assert seen["ray_worldloom_stage_seconds_count stage=depth"] == 8
    assert seen["ray_worldloom_queue_depth stage=depth"] == 0
    assert seen["ray_worldloom_store_bytes_total direction=write"] > 10_000
    assert seen["ray_worldloom_store_bytes_total direction=read"] > 10_000

    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    made = [line for line in lines if line["message"] == "item made" and line["stage"] == "depth"]
    assert sorted(line["view"] for line in made) == list(range(8))
    assert {line["job"] for line in lines} == {"shipped"}
    written = [
        json.loads(line)
        for path in (head.folder / "session_latest" / "logs").glob("worker-*.err")
        for line in path.read_text().splitlines()
        if line.startswith('{"time"') and '"job":"shipped"' in line
    ]
    closed = {line["worker"].split("-")[2] for line in written if " closes: " in line["message"]}
    assert closed == {"depth", "memory", "chunk", "merger"}
    timeline = json.loads((tmp_path / "out" / "timeline.json").read_text())
    workers = {e["args"]["name"] for e in timeline if e["name"] == "process_name"}
    assert len([name for name in workers if "-depth-0 on " in name]) == 1, "it ran on the cluster"


def test_a_repeated_submission_finds_the_first(jobs: RayJobs, tmp_path: Path):
    command = ["python", "-c", f"open({str(tmp_path / 'ran')!r}, 'a').write('x'); print('done')"]
    for _ in range(2):
        assert jobs.submit(command, "twice", {"A": "1"}, {"for": "a test"}) == "twice"
        report = jobs.wait("twice", 60)
    assert (tmp_path / "ran").read_text() == "x"
    assert (report.state, report.exit_code) == (JobState.SUCCEEDED, 0)
    assert report.metadata["for"] == "a test"
    with pytest.raises(JobError, match=r"job twice exists and runs another command \(python -c"):
        jobs.submit(["python", "-c", "print('other')"], "twice", {}, {})
    assert [each.job for each in jobs.list()].count("twice") == 1


def test_the_log_is_followed_until_the_job_ends(head: Head, jobs: RayJobs):
    program = "import os, time; print('first ' + os.environ['WORD']); time.sleep(1); print('last')"
    jobs.submit(["python", "-u", "-c", program], "told", {"WORD": "two words"}, {})
    followed = "".join(jobs.follow("told"))
    # Ray writes lines of its own into the same log, and on a busy machine between those of the job.
    said = [line for line in followed.splitlines() if line in {"first two words", "last"}]
    assert said == ["first two words", "last"]
    assert followed.endswith("last\n")
    assert jobs.logs("told").startswith(followed), "nothing lost, nothing twice"
    assert jobs.status("told") is JobState.SUCCEEDED
    shown = head.call("job", "logs", "told", "--address", head.address)
    assert shown.stdout == jobs.logs("told")
    assert "first two words" in shown.stdout


def test_a_job_is_stopped(head: Head, jobs: RayJobs):
    jobs.submit(["python", "-c", "import time; time.sleep(300)"], "long", {}, {})
    with pytest.raises(JobError, match="job long is still"):
        jobs.wait("long", 0.1)
    done = head.call("job", "stop", "long", "--address", head.address, "--json")
    assert json.loads(done.stdout)["state"] == "stopped", done.stderr
    assert not jobs.stop("long"), "it had ended"


def test_a_failed_job_fails_the_command(head: Head, tmp_path: Path):
    where = ("--address", head.address, "--id", "bad", "--ship", "yes")
    done = head.call("submit", *where, "--", "metrics", str(tmp_path))
    assert done.returncode == 1
    assert "holds no finished scene" in done.stderr
    assert done.stdout == "bad: failed\n"
    assert "worldloom: job bad failed: Job entrypoint command failed" in done.stderr


def test_an_unknown_job_is_one_clear_error(head: Head, jobs: RayJobs):
    for ask in (jobs.status, jobs.logs, jobs.stop, jobs.delete, lambda job: [*jobs.follow(job)]):
        with pytest.raises(JobError, match="knows no job nosuch") as caught:
            ask("nosuch")
        assert caught.value.ids == {"address": head.address, "job": "nosuch"}


def test_a_wrong_token_is_one_clear_error(head: Head):
    wrong = secrets.token_hex(32)
    with pytest.raises(JobError, match="does not take our token: set RAY_AUTH_MODE=token"):
        RayJobs(head.address, wrong)
    done = head.call("job", "list", "--address", head.address, token=wrong)
    assert done.returncode == 1
    assert done.stderr.startswith(f"worldloom: the Ray cluster at {head.address} does not take")
    assert done.stderr.count("\n") == 1


def test_the_address_that_is_given_counts(head: Head, monkeypatch: pytest.MonkeyPatch):
    """Ray's own client would ask the cluster that the environment names."""
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    assert not RayJobs(f"{head.address}/", head.token).knows("nosuch")


def test_an_address_without_a_cluster_is_one_clear_error(head: Head):
    (port,) = free_ports(1)
    with pytest.raises(JobError, match=r"nothing answers at http://127\.0\.0\.1:\d+: .*refused"):
        RayJobs(f"http://127.0.0.1:{port}")
    with pytest.raises(JobError, match="is not the address of a dashboard; give http://HEAD:8265"):
        RayJobs("127.0.0.1:6379")
    with pytest.raises(JobError, match=r"refused \(HTTP 404\)|is no Ray .* dashboard"):
        RayJobs(head.metrics, head.token)


def test_rays_own_command_makes_the_same(plain: Plain, expected: bytes):
    told, _ = plain.process.communicate(timeout=120)
    assert plain.process.returncode == 0, told
    assert (plain.out / "mesh.ply").read_bytes() == expected
