"""Rows that belong to a caller."""

from typing import Any

from sqlalchemy import Connection, select

from cluster.gateway.records import AssetRecord
from worldloom.errors import AlreadyExistsError, NotFoundError


def own_row(connection: Connection, table: Any, principal: str, identifier: str) -> dict[str, Any]:
    """Returns a row of a caller.

    Raises:
        NotFoundError: there is no such row, or it is another's; both look the same.
    """
    query = select(table).where(table.c.id == identifier, table.c.principal == principal)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no {table.name}/{identifier}", name=identifier)
    return dict(row)


def requested_row(
    connection: Connection, table: Any, principal: str, request_id: str | None
) -> dict[str, Any] | None:
    """Returns what a request id of a caller made before; None without one."""
    if request_id is None:
        return None
    query = select(table).where(table.c.principal == principal, table.c.request_id == request_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def reused(request_id: str | None) -> AlreadyExistsError:
    """Returns the error of a request id that was used for something else."""
    return AlreadyExistsError(
        f"request_id {request_id} was used for another request; use a new one", name=request_id
    )


def asset_from_row(row: dict[str, Any]) -> AssetRecord:
    """Returns an asset as the table holds it."""
    return AssetRecord(
        row["id"],
        row["display_name"],
        row["size_bytes"],
        row["sha256"],
        row["create_s"],
        row["expire_s"],
    )
