"""A gateway whose jobs are played, in a process of its own, for the benchmarks of the service.

    python -m tests.benchmarks.gateway_server FOLDER

Jobs that are created run for ever and make two events a second each. Prints port and token.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from cluster.gateway import interpreter
from cluster.gateway.config import GatewayConfig, Quotas
from cluster.gateway.core import open_core
from cluster.gateway.folders import Folders
from cluster.gateway.server import Face, Gateway
from tests.gateway import PlayedJobs

_EVERY_S = 0.5


async def play(jobs: PlayedJobs) -> None:
    """Lets all jobs move on."""
    step = 0
    while True:
        step += 1
        for job_id in list(jobs.states):
            jobs.progress(job_id, f"stage {step // 100}", step % 100, 100)
        await asyncio.sleep(_EVERY_S)


async def main() -> None:
    """Serves until SIGTERM."""
    made: list[PlayedJobs] = []

    def launcher(folders: Folders) -> PlayedJobs:
        made.append(PlayedJobs(folders))
        return made[0]

    quotas = Quotas(max_calls=2000, max_watches=2000, max_bytes=1 << 40)
    config = GatewayConfig(Path(sys.argv[1]), max_running=20, quotas=quotas)
    core = open_core(config, launcher)
    gateway = Gateway(core, Face("127.0.0.1:0", drain_s=1.0))
    port = await gateway.start()
    token = core.tokens.create("load")
    print(json.dumps({"port": port, "token": token}), flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    playing = asyncio.create_task(play(made[0]))
    await ended.wait()
    playing.cancel()
    await gateway.drain()


if __name__ == "__main__":
    interpreter.run(main())
