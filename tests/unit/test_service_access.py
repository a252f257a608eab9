"""Who may call what, and what comes of calls that make no sense."""

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2 as details_pb2

from cluster.gateway.config import Quotas
from cluster.gateway.scopes import OPEN_METHODS, SCOPES, Scope
from cluster.rpc import (
    asset_service_pb2,
    metrics_service_pb2,
)
from tests.benchmarks.gateway_fuzz import ALLOWED, fuzz
from tests.calls import (
    METHODS,
    NO_ID,
    details,
    failure,
    job_request,
    played,
    raw_call,
    stubs,
    uploaded,
)
from tests.gateway import Running


def test_every_method_has_its_scope_and_nothing_else_is_open():
    assert set(SCOPES) == set(METHODS)
    assert not OPEN_METHODS & set(METHODS)


def test_the_table_of_scopes_in_the_guide_is_that_of_the_guard():
    text = (Path(__file__).resolve().parents[2] / "docs" / "service.md").read_text()
    row = re.compile(r"^\| (\w+) \| (\w+) \| `([a-z.]+)` \| UNAUTH", re.MULTILINE)
    told = {
        f"/worldloom.v1.{service}Service/{method}": scope
        for service, method, scope in row.findall(text)
    }
    assert told == {method: str(scope) for method, scope in SCOPES.items()}


def test_without_the_right_token_nothing_is_reached(tmp_path: Path):
    async def test(gateway: Running) -> None:
        right = gateway.token()[0][1]
        revoked = gateway.token()
        gateway.core.tokens.revoke(revoked[0][1].split("_")[1])
        other_secret = right[:-2] + ("aa" if right[-2:] != "aa" else "bb")
        wrong = {
            "none": (),
            "no scheme": (("authorization", right.partition(" ")[2]),),
            "basic": (("authorization", "Basic " + right.partition(" ")[2]),),
            "empty": (("authorization", "Bearer "),),
            "other secret": (("authorization", other_secret),),
            "unknown id": (("authorization", f"Bearer wl_{'0' * 16}_{'a' * 43}"),),
            "twice": (("authorization", right), ("authorization", right)),
            "revoked": revoked,
            "expired": gateway.token(lifetime_s=-1.0),
        }
        for method in METHODS:
            for why, metadata in wrong.items():
                error = await raw_call(gateway, method, b"", metadata)
                assert error is not None, (method, why)
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED, (method, why, error)
                assert details(error, details_pb2.ErrorInfo).reason == "CREDENTIAL"
            all_others = [scope for scope in Scope if scope is not SCOPES[method]]
            error = await raw_call(gateway, method, b"", gateway.token(scopes=all_others))
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED, method
            assert details(error, details_pb2.ErrorInfo).metadata["scope"] == SCOPES[method]

    played(tmp_path, test)


def test_the_right_scope_is_enough_and_what_is_not_there_is_not_found(tmp_path: Path):
    async def test(gateway: Running) -> None:
        collections = {"Job": "reconstructionJobs", "Operation": "operations"}
        collections |= {"Upload": "uploads", "Asset": "assets", "Scene": "scenes"}
        for method, descriptor in METHODS.items():
            kind = descriptor.input_type
            name = next((v for k, v in collections.items() if k in descriptor.name), "scenes")
            if "name" not in kind.fields_by_name or "Commit" in method or "Part" in method:
                continue
            field = kind.fields_by_name["name"]
            text = f"{name}/{NO_ID}".encode()
            request = bytes([field.number << 3 | 2, len(text)]) + text
            error = await raw_call(gateway, method, request, gateway.token(scopes=[SCOPES[method]]))
            assert error.code() is grpc.StatusCode.NOT_FOUND, (method, error)

    played(tmp_path, test)


def test_bytes_that_are_no_message_are_an_invalid_argument(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who = gateway.token()
        for method, descriptor in METHODS.items():
            if not descriptor.input_type.fields:
                continue
            error = await raw_call(gateway, method, b"\xff\xff\xff", who)
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, method

    played(tmp_path, test)


def test_health_and_reflection_need_no_token(tmp_path: Path):
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async def test(gateway: Running) -> None:
        health: Any = health_pb2_grpc.HealthStub(gateway.channel)
        for service in ("", "worldloom.v1.ReconstructionService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(gateway.channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        call = reflection.ServerReflectionInfo(iter([ask]))
        async for answer in call:
            names = {item.name for item in answer.list_services_response.service}
            assert {f"worldloom.v1.{s}Service" for s in ("Asset", "Scene", "Export")} <= names
            break
        call.cancel()

    played(tmp_path, test)


def test_shares_are_kept(tmp_path: Path):
    async def test(gateway: Running) -> None:
        who, stub = gateway.token(), stubs(gateway)
        asset = await uploaded(gateway, who, b"video")
        too_much = asset_service_pb2.StartUploadRequest(display_name="b", size_bytes=1000)
        error = await failure(stub.assets.StartUpload(too_much, metadata=who))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(error, details_pb2.QuotaFailure).violations[0].subject == "bytes"
        await stub.jobs.CreateReconstructionJob(job_request(asset), metadata=who)
        error = await failure(stub.jobs.CreateReconstructionJob(job_request(asset), metadata=who))
        assert details(error, details_pb2.QuotaFailure).violations[0].subject == "jobs"
        quota = await stub.assets.GetQuota(asset_service_pb2.GetQuotaRequest(), metadata=who)
        assert (quota.used_bytes, quota.limit_bytes, quota.active_jobs) == (5, 1000, 1)
        request = metrics_service_pb2.WatchClusterMetricsRequest()
        open_streams = [stub.metrics.WatchClusterMetrics(request, metadata=who) for _ in range(2)]
        for stream in open_streams:
            assert (await stream.read()).metrics.nodes[0].node_id == "played"
        error = await failure(stub.metrics.WatchClusterMetrics(request, metadata=who).read())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(error, details_pb2.RetryInfo).retry_delay.seconds >= 1
        for stream in open_streams:
            stream.cancel()

    quotas = Quotas(max_bytes=1000, max_active_jobs=1, max_watches=2)
    played(tmp_path, test, quotas=quotas)


def test_malformed_requests_get_the_right_kind_of_code(tmp_path: Path):
    async def test(gateway: Running) -> None:
        port = int(gateway.address.rpartition(":")[2])
        counts = await fuzz(port, gateway.core.tokens.create("fuzz"), 400, seed=1)
        assert sum(counts.values()) == 400
        assert {code for _, code in counts} <= ALLOWED

    played(tmp_path, test)


def test_who_sends_nothing_or_too_slowly_is_sent_away_and_counted(tmp_path: Path):
    method = "/worldloom.v1.AssetService/UploadPart"

    async def test(gateway: Running) -> None:
        who = gateway.token()
        held = asyncio.Event()

        async def nothing() -> AsyncGenerator[bytes]:
            await held.wait()
            yield b""

        async def empty() -> AsyncGenerator[bytes]:
            for message in ():
                yield message

        def call(requests: AsyncGenerator[bytes]) -> Any:
            return gateway.channel.stream_unary(method)(requests, metadata=who, timeout=20)

        slow = [call(nothing()) for _ in range(3)]
        codes = [(await failure(item)).code() for item in slow]
        # Of two places both were held; the third call found none.
        assert sorted(code.name for code in codes) == [
            "RESOURCE_EXHAUSTED",
            "UNAVAILABLE",
            "UNAVAILABLE",
        ]
        assert (await failure(call(empty()))).code() is grpc.StatusCode.INVALID_ARGUMENT
        # Without a token nobody is waited for.
        stranger = gateway.channel.stream_unary(method)(nothing(), timeout=20)
        async with asyncio.timeout(0.4):
            error = await failure(stranger)
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        held.set()
        quota = await stubs(gateway).assets.GetQuota(
            asset_service_pb2.GetQuotaRequest(), metadata=who
        )
        assert quota.limit_bytes > 0

    played(tmp_path, test, request_s=1.0, quotas=Quotas(max_calls=2))
