"""OperationService, and how other services make operations."""

from collections.abc import AsyncGenerator
from typing import Any

from cluster.gateway.convert import (
    event_to_pb,
    operation_to_pb,
    state_from_pb,
    wish_from_pb,
)
from cluster.gateway.core import Core
from cluster.gateway.guard import caller
from cluster.gateway.identifiers import id_of, page_request
from cluster.gateway.jobs import OPERATIONS
from cluster.gateway.servicers._reconstructions import checked_sequence
from cluster.gateway.specs import JobSpec
from cluster.rpc import operation_service_pb2 as pb2
from cluster.rpc import operation_service_pb2_grpc


async def queued(core: Core, spec: JobSpec, options: pb2.OperationOptions) -> pb2.Operation:
    """Queues an operation of the caller.

    Raises:
        WorldloomError: it cannot be queued.
    """
    wish = wish_from_pb(options)
    job = await core.jobs.create(
        caller(), spec, "", wish.priority, wish.request_id, wish.validate_only
    )
    return operation_to_pb(job, is_created=not wish.validate_only)


class OperationServicer(operation_service_pb2_grpc.OperationServiceServicer):
    """Operations on the wire.

    Args:
        core: The gateway.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def GetOperation(  # noqa: N802, the name in the contract
        self, request: pb2.GetOperationRequest, context: Any
    ) -> pb2.Operation:
        """Returns an operation."""
        job_id = id_of(request.name, "operations")
        return operation_to_pb(await self._core.jobs.get(caller(), job_id, OPERATIONS))

    async def ListOperations(  # noqa: N802
        self, request: pb2.ListOperationsRequest, context: Any
    ) -> pb2.ListOperationsResponse:
        """Lists operations."""
        page = page_request(request.page_size, request.page_token)
        state = state_from_pb(request.state)
        found = await self._core.jobs.list(caller(), OPERATIONS, page, state)
        return pb2.ListOperationsResponse(
            operations=[operation_to_pb(job) for job in found.items],
            next_page_token=found.next_token,
        )

    async def CancelOperation(  # noqa: N802
        self, request: pb2.CancelOperationRequest, context: Any
    ) -> pb2.Operation:
        """Asks an operation to stop."""
        job_id = id_of(request.name, "operations")
        return operation_to_pb(await self._core.jobs.cancel(caller(), job_id, OPERATIONS))

    async def WatchOperation(  # noqa: N802
        self, request: pb2.WatchOperationRequest, context: Any
    ) -> AsyncGenerator[pb2.WatchOperationResponse]:
        """Sends the events of an operation."""
        job_id = id_of(request.name, "operations")
        after = checked_sequence(request.after_sequence)
        await self._core.jobs.get(caller(), job_id, OPERATIONS)
        async for event in self._core.hub.follow(job_id, after):
            yield pb2.WatchOperationResponse(event=event_to_pb(event, None))
