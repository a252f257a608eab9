"""One trace from the client over the gateway into the process of a job."""

import asyncio
from pathlib import Path

import pytest
from opentelemetry.instrumentation.grpc import aio_client_interceptors
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from cluster.client import AsyncClient, InputSpec, ReconstructSpec
from cluster.gateway.server import Face
from cluster.tracing import PARENT_VARIABLE, current_parent, job_span
from tests.calls import begun
from tests.gateway import running
from worldloom.errors import NotFoundError, PlanError


def recorded() -> tuple[TracerProvider, InMemorySpanExporter]:
    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider, spans


def named(spans: InMemorySpanExporter, method: str, kind: SpanKind) -> ReadableSpan:
    (found,) = [s for s in spans.get_finished_spans() if method in s.name and s.kind is kind]
    return found


def test_one_trace_leads_from_the_client_into_the_job(tmp_path: Path):
    provider, spans = recorded()
    env: list[dict[str, str]] = []

    async def test() -> None:
        face = Face("127.0.0.1:0", drain_s=0.2, traces=provider)
        async with running(tmp_path / "data", face) as gateway, asyncio.timeout(30):
            token = gateway.core.tokens.create("alice")
            around = aio_client_interceptors(tracer_provider=provider)
            (tmp_path / "a.mp4").write_bytes(b"video")
            async with AsyncClient(gateway.address, token, interceptors=around) as client:
                media = await client.upload(tmp_path / "a.mp4")
                job = await client.create_job(ReconstructSpec((InputSpec(media.id),)))
                with pytest.raises(NotFoundError):
                    await client.get_job("0" * 28)
            await begun(gateway, job.id)
            env.append(gateway.launcher.variables[job.id])

    asyncio.run(test())
    method = "CreateReconstructionJob"
    asked = named(spans, method, SpanKind.CLIENT)
    answered = named(spans, method, SpanKind.SERVER)
    assert answered.parent is not None
    assert answered.parent.span_id == asked.context.span_id
    refused = named(spans, "GetReconstructionJob", SpanKind.SERVER)
    assert refused.attributes is not None
    assert refused.attributes["rpc.grpc.status_code"] == 5
    assert "Bearer" not in "".join(span.to_json() for span in spans.get_finished_spans())
    jobs, of_jobs = recorded()
    with pytest.raises(PlanError), job_span("reconstruct", env[0], jobs):
        raise PlanError("no overlap")
    (job_made,) = of_jobs.get_finished_spans()
    assert job_made.context.trace_id == asked.context.trace_id
    assert job_made.parent is not None
    assert job_made.parent.span_id == answered.context.span_id
    assert job_made.status.status_code is StatusCode.ERROR


def test_without_being_asked_for_there_is_no_trace(tmp_path: Path):
    async def test() -> None:
        async with running(tmp_path / "data") as gateway, asyncio.timeout(30):
            token = gateway.core.tokens.create("alice")
            (tmp_path / "a.mp4").write_bytes(b"video")
            async with AsyncClient(gateway.address, token) as client:
                media = await client.upload(tmp_path / "a.mp4")
                job = await client.create_job(ReconstructSpec((InputSpec(media.id),)))
            await begun(gateway, job.id)
            assert PARENT_VARIABLE not in gateway.launcher.variables[job.id]

    asyncio.run(test())
    assert current_parent() is None
    provider, spans = recorded()
    with job_span("reconstruct", {}, provider):
        pass
    assert not spans.get_finished_spans()
