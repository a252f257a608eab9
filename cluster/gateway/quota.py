"""What each caller uses of its share."""

from sqlalchemy import Connection, func, select

from cluster.gateway.config import Quotas
from cluster.gateway.records import FINAL_STATES, QuotaRecord
from cluster.gateway.tables import ASSETS, GPU_USAGE, JOBS, UPLOADS
from worldloom.errors import QuotaError

DAY_S = 86_400
_WINDOW_DAYS = 30


def used(connection: Connection, quotas: Quotas, principal: str, now_s: float) -> QuotaRecord:
    """Returns what a caller uses and may use."""
    return QuotaRecord(
        used_bytes=_bytes(connection, principal),
        limit_bytes=quotas.max_bytes,
        active_jobs=_active(connection, principal),
        limit_jobs=quotas.max_active_jobs,
        used_gpu_s=_gpu_s(connection, principal, now_s),
        limit_gpu_s=quotas.max_gpu_minutes * 60,
    )


def require_bytes(connection: Connection, quotas: Quotas, principal: str, more: int) -> None:
    """Checks that a caller may keep more bytes; in the transaction that adds them.

    Raises:
        QuotaError: it may not.
    """
    value = _bytes(connection, principal) + more
    if value > quotas.max_bytes:
        raise QuotaError(
            f"{value} bytes of assets would be above your share of {quotas.max_bytes}; delete "
            "assets or give up uploads",
            subject="bytes",
            value=value,
            limit=quotas.max_bytes,
        )


def require_job(connection: Connection, quotas: Quotas, principal: str, now_s: float) -> None:
    """Checks that a caller may have one job more; in the transaction that adds it.

    Raises:
        QuotaError: it may not.
    """
    active = _active(connection, principal)
    if active >= quotas.max_active_jobs:
        raise QuotaError(
            f"you have {active} jobs that have not ended, and may have {quotas.max_active_jobs}; "
            "wait for some, or cancel them",
            subject="jobs",
            value=active,
            limit=quotas.max_active_jobs,
        )
    minutes = _gpu_s(connection, principal, now_s) / 60
    if minutes >= quotas.max_gpu_minutes:
        raise QuotaError(
            f"your jobs of the last {_WINDOW_DAYS} days took {minutes:.0f} GPU minutes, and may "
            f"take {quotas.max_gpu_minutes:.0f}; wait, or ask the operator for more",
            subject="gpu_minutes",
            value=minutes,
            limit=quotas.max_gpu_minutes,
        )


def _bytes(connection: Connection, principal: str) -> int:
    kept = select(func.coalesce(func.sum(ASSETS.c.size_bytes), 0)).where(
        ASSETS.c.principal == principal
    )
    coming = select(func.coalesce(func.sum(UPLOADS.c.size_bytes), 0)).where(
        UPLOADS.c.principal == principal, UPLOADS.c.asset_id.is_(None)
    )
    return int(connection.scalar(kept) or 0) + int(connection.scalar(coming) or 0)


def _active(connection: Connection, principal: str) -> int:
    query = select(func.count()).where(
        JOBS.c.principal == principal, JOBS.c.state.not_in(sorted(FINAL_STATES))
    )
    return int(connection.scalar(query) or 0)


def _gpu_s(connection: Connection, principal: str, now_s: float) -> float:
    since = int(now_s // DAY_S) - _WINDOW_DAYS
    query = select(func.coalesce(func.sum(GPU_USAGE.c.gpu_s), 0.0)).where(
        GPU_USAGE.c.principal == principal, GPU_USAGE.c.day > since
    )
    return float(connection.scalar(query) or 0)
