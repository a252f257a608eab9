"""The end of a job in the database: its state, what it made, and what it cost."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from cluster.gateway.assets import Assets
from cluster.gateway.jobs import change_state
from cluster.gateway.quota import DAY_S
from cluster.gateway.records import JobFault, State
from cluster.gateway.tables import GPU_USAGE, SCENES
from cluster.worker.task import JobKind, Output


@dataclass(frozen=True)
class Ending:
    """How a job ended."""

    state: State
    fault: JobFault | None = None
    output: Output | None = None
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """Of the scene that it made."""
    degraded: bool = False


def record_end(
    connection: Connection, assets: Assets, row: dict[str, Any], ending: Ending, now_s: float
) -> None:
    """Records the end of a job, in one transaction.

    Args:
        connection: In a transaction.
        assets: Where a file that it made lies already.
        row: The job.
        ending: How it ended.
        now_s: Time of the end.
    """
    job_id, principal = row["id"], row["principal"]
    values: dict[str, Any] = {"end_s": now_s, "degraded": ending.degraded}
    if row["gpus"] and row["attempt_s"] is not None:
        values["gpu_s"] = row["gpu_s"] + row["gpus"] * max(0.0, now_s - row["attempt_s"])
        _charge(connection, principal, values["gpu_s"], now_s)
    if ending.output is not None:
        made = (ending.output.size_bytes, bytes.fromhex(ending.output.sha256))
        assets.adopt(connection, principal, job_id, ending.output.name, made)
        values["asset_id"] = job_id
    elif ending.state is State.SUCCEEDED and row["kind"] == JobKind.RECONSTRUCT:
        scene = {
            "id": job_id,
            "principal": principal,
            "display_name": row["display_name"],
            "job_id": job_id,
            "create_s": now_s,
            "views": ending.counts.get("views", 0),
            "points": ending.counts.get("points", 0),
            "faces": ending.counts.get("faces", 0),
            "degraded": ending.degraded,
        }
        connection.execute(insert(SCENES), scene)
        values["scene_id"] = job_id
    change_state(connection, job_id, ending.state, now_s, fault=ending.fault, **values)


def _charge(connection: Connection, principal: str, gpu_s: float, now_s: float) -> None:
    day = int(now_s // DAY_S)
    here = (GPU_USAGE.c.principal == principal, GPU_USAGE.c.day == day)
    known = connection.scalar(select(GPU_USAGE.c.gpu_s).where(*here))
    if known is None:
        row = {"principal": principal, "day": day, "gpu_s": gpu_s}
        connection.execute(insert(GPU_USAGE), row)
    else:
        connection.execute(update(GPU_USAGE).where(*here).values(gpu_s=known + gpu_s))
