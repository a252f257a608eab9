"""`worldloom submit` and `job`: what they take, before any cluster is asked."""

import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cluster.cli import _main as cli
from cluster.cli._execution import Execution
from cluster.cli._submit import Submit
from cluster.ray_job import CONFIG_VARIABLE, in_ray_job, submission_id
from cluster.ray_runner import RayRunner
from worldloom.bench import BenchConfig
from worldloom.inline import InlineRunner

_JOB = json.dumps({"metadata": {"job_submission_id": "walk-7"}, "runtime_env": {}})


@pytest.fixture
def _levels_as_they_were() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("worldloom", "actors", "cluster")]
    levels = [logger.level for logger in loggers]
    handlers = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def _parsed(*words: str) -> Any:
    return cli.parse(cli.Command, "worldloom", words)  # pyright: ignore[reportArgumentType]


def test_words_after_the_dashes_are_the_command_with_its_own_flags():
    words = ["reconstruct", "/data/a.mp4", "--out", "/data/a", "--json", "--address", "other"]
    command = _parsed("submit", "--address", "http://h:8265", "--env", "A=b=c", "--", *words)
    assert isinstance(command, Submit)
    assert command.command == tuple(words)
    assert (command.address, command.json) == ("http://h:8265", False)
    assert command.environment() == {"A": "b=c"}


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["submit"], "give what to run after --, beginning with one of reconstruct"),
        (["submit", "--", "view", "x"], "give what to run after --"),
        (["submit", "--env", "A", "--", "metrics", "x"], "--env is A; give NAME=VALUE"),
        (["submit", "--env", "=b", "--", "metrics", "x"], "--env is =b; give NAME=VALUE"),
        (["job"], "status, logs, stop, list"),
        (["job", "status"], "required"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], part: str):
    with pytest.raises(cli.UsageError) as caught:
        _parsed(*words)
    assert part in str(caught.value)


def test_every_action_on_a_job_can_speak_json():
    assert _parsed("job", "status", "x", "--json").json
    assert not _parsed("job", "logs", "x", "--follow").json
    assert _parsed("job", "stop", "x", "--no-wait", "--json").json
    assert _parsed("job", "list", "--json").json


def test_inside_a_ray_job_the_cluster_does_the_work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    assert not in_ray_job()
    assert submission_id() is None
    factory = Execution().factory()
    assert isinstance(factory, partial)
    assert factory.func is InlineRunner
    monkeypatch.setenv(CONFIG_VARIABLE, _JOB)
    assert submission_id() == "walk-7"
    inside = Execution().factory()
    assert isinstance(inside, partial)
    assert inside.func is RayRunner
    chosen = Execution(runner="inline").factory()
    assert isinstance(chosen, partial)
    assert chosen.func is InlineRunner


def test_the_name_of_a_job_in_its_logs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def name(**flags: Any) -> str:
        config = Execution(log_format="json", **flags).log_config(tmp_path / "walk")
        assert config is not None
        return config.job

    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    assert Execution().log_config(tmp_path) is None
    assert name() == "walk"
    monkeypatch.setenv(CONFIG_VARIABLE, _JOB)
    assert name() == "walk-7"
    assert name(job="mine") == "mine"


@pytest.mark.usefixtures("_levels_as_they_were")
def test_with_json_logs_every_line_on_stderr_is_json(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    words = ["reconstruct", str(tmp_path / "none.mp4"), "--out", str(tmp_path / "walk")]
    assert cli.run([*words, "--log-format", "json"]) == cli.FAILED
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert lines[-1]["level"] == "error"
    assert lines[-1]["job"] == "walk"
    assert "none.mp4" in lines[-1]["message"]
    assert cli.run(words) == cli.FAILED
    assert capfd.readouterr().err.startswith("worldloom: ")


@pytest.mark.usefixtures("_levels_as_they_were")
def test_a_failed_job_leaves_its_timeline(tmp_path: Path):
    words = ["reconstruct", str(tmp_path / "none.mp4"), "--out", str(tmp_path / "walk")]
    assert cli.run(words) == cli.FAILED
    events = json.loads((tmp_path / "walk" / "timeline.json").read_text())
    assert events[-1]["args"]["error"] == "InputError"


def test_workers_learn_how_to_log(tmp_path: Path):
    execution = Execution(runner="ray", log_format="json", job="mine")
    factory = execution.factory()
    assert isinstance(factory, partial)
    config = factory.keywords["config"]
    assert config.log == execution.log_config(tmp_path)
    with RayRunner(BenchConfig(str(tmp_path)), workers=1, config=config) as runner:
        assert runner.workers_up() == {}
