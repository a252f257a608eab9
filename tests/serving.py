"""The service as its users meet it: a gateway in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "cluster", *map(str, words)]


@contextmanager
def serving(
    data: Path, port: int = 0, *options: str, env: Mapping[str, str] | None = None
) -> Generator[tuple[subprocess.Popen[str], int]]:
    """A gateway in a process of its own, and its port."""
    words = command("serve", "--data", data, "--address", f"127.0.0.1:{port}", "--json")
    with (data.parent / "gateway.log").open("a") as log:
        process = subprocess.Popen(
            [*words, "--runner", "inline", "--drain-s", "2", *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **(env or {})},
        )
    try:
        assert process.stdout is not None
        told = "".join(iter(lambda: (process.stdout or sys.stdin).readline(), "}\n")) + "}"
        yield process, int(json.loads(told)["address"].rpartition(":")[2])
    finally:
        process.terminate()
        process.communicate(timeout=60)


def made_token(data: Path) -> str:
    words = command("tokens", "create", "--data", data, "--principal", "alice")
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=True)
    return done.stdout.strip()
