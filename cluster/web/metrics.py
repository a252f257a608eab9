"""What Prometheus learns of the pages."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class WebMetrics:
    """Counts requests and streams.

    Labels are routes, not paths, so that nobody can make series without end.

    Args:
        registry: Where the metrics are kept; `/metrics` shows all that it holds.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "worldloom_http_requests_total",
            "Requests of pages and probes.",
            ("route", "code"),
            registry=registry,
        )
        self.seconds = Histogram(
            "worldloom_http_request_seconds",
            "Time until the answer, streams of events apart.",
            ("route",),
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0),
            registry=registry,
        )
        self.streams = Gauge(
            "worldloom_http_streams", "Streams of events that are open.", registry=registry
        )
