"""The parts of a gateway, put together."""

import asyncio
import fcntl
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.gateway.assets import Assets
from cluster.gateway.config import GatewayConfig
from cluster.gateway.database import Database, sqlite_url
from cluster.gateway.disk import Disk
from cluster.gateway.events import EventHub
from cluster.gateway.folders import Folders
from cluster.gateway.jobs import Jobs
from cluster.gateway.launcher import JobLauncher
from cluster.gateway.meters import Meters
from cluster.gateway.queue_numbers import queue_numbers
from cluster.gateway.records import ClusterSample
from cluster.gateway.scenes import Scenes
from cluster.gateway.supervisor import Supervisor
from cluster.gateway.tokens import Tokens
from cluster.gateway.uploads import Uploads
from worldloom.errors import StoreError

LauncherFactory = Callable[[Folders], JobLauncher]
DATABASE_FILE = "gateway.db"


@dataclass(frozen=True)
class Core:
    """A gateway without its wire."""

    config: GatewayConfig
    database: Database
    tokens: Tokens
    disk: Disk
    uploads: Uploads
    assets: Assets
    folders: Folders
    jobs: Jobs
    scenes: Scenes
    hub: EventHub
    supervisor: Supervisor
    launcher: JobLauncher
    meters: Meters

    async def sample(self) -> ClusterSample:
        """Returns what the service and its cluster are doing."""
        now_s = time.time()
        numbers = await self.database.read(lambda connection: queue_numbers(connection, now_s))
        nodes = await asyncio.to_thread(self.launcher.nodes)
        return ClusterSample(
            time_s=now_s,
            nodes=nodes,
            queued=numbers.queued,
            running=numbers.running,
            succeeded_last_hour=numbers.succeeded,
            failed_last_hour=numbers.failed,
            watchers=self.hub.watchers,
            oldest_wait_s=numbers.oldest_wait_s,
        )


def open_core(config: GatewayConfig, launcher: LauncherFactory) -> Core:
    """Returns the parts of a gateway; `Supervisor.run` is still to be started.

    Raises:
        StoreError: the database or a folder cannot be used, or another gateway uses them.
    """
    try:
        config.make_folders()
    except OSError as error:
        raise StoreError(
            f"the folder {config.data} cannot be used: {error.strerror}; give another --data",
            uri=str(config.data),
        ) from error
    url = config.database_url or sqlite_url(config.data / DATABASE_FILE)
    database = Database(url)
    name = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(4)}"
    if database.is_sqlite:
        _claim(config.data)
        # Nobody else uses the database, so that what the last process left is ours at once.
        name = "only"
    meters = Meters()
    disk = Disk()
    uploads = Uploads(database, config, disk)
    assets = Assets(database, config, disk, uploads)
    folders = Folders(config)
    hub = EventHub(database)
    started = launcher(folders)
    supervisor = Supervisor(database, config, hub, assets, folders, started, name)
    return Core(
        config,
        database,
        Tokens(database),
        disk,
        uploads,
        assets,
        folders,
        Jobs(database, config, hub, supervisor.wake),
        Scenes(database, folders),
        hub,
        supervisor,
        started,
        meters,
    )


_claims: list[int] = []


def _claim(folder: Path) -> None:
    """Makes sure that this is the only gateway on a folder; until the end of the process."""
    fd = os.open(folder / "gateway.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise StoreError(
            f"another gateway uses {folder}; end it, or use --database with PostgreSQL for several",
            uri=str(folder),
        ) from error
    _claims.append(fd)
