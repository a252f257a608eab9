"""OpenTelemetry traces, off unless asked for; the extra `otel` brings what they need."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from worldloom.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

PARENT_VARIABLE = "TRACEPARENT"
"""Where a process finds the span that it belongs to, as W3C's traceparent."""
_NAME = "worldloom"


def exporting(service: str) -> "TracerProvider":
    """Returns a provider whose spans go where `OTEL_EXPORTER_OTLP_ENDPOINT` and its like say.

    Args:
        service: `service.name` of the spans.

    Raises:
        ConfigError: the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            f"traces need a package that is missing ({error.name}); pip install 'worldloom[otel]'",
            field="traces",
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def current_parent() -> str | None:
    """Returns the span that is being recorded here, as W3C's traceparent; None where none is."""
    try:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        return None
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def job_span(
    name: str,
    environment: Mapping[str, str] = os.environ,
    provider: "TracerProvider | None" = None,
) -> Generator[None]:
    """Records a span of the process of a job, as a child of the call that created the job.

    Does nothing where the environment names no parent: then nobody asked for traces.

    Args:
        name: Of the span.
        environment: With `TRACEPARENT`.
        provider: Where spans go; None: where the environment says.
    """
    parent = environment.get(PARENT_VARIABLE)
    if parent is None:
        yield
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    spans = exporting(f"{_NAME}-job") if provider is None else provider
    context = TraceContextTextMapPropagator().extract({"traceparent": parent})
    try:
        with spans.get_tracer(_NAME).start_as_current_span(name, context):
            yield
    finally:
        if provider is None:
            spans.shutdown()
