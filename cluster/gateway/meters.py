"""Numbers about the gateway itself, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Meters:
    """All numbers of one gateway, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "worldloom_gateway_calls",
            "Calls that have ended, by method and code.",
            ("method", "code"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "worldloom_gateway_call_seconds",
            "Time of calls, streams of Watch and downloads apart.",
            ("method",),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0),
            registry=self.registry,
        )
        self.received_bytes = Counter(
            "worldloom_gateway_received_bytes", "Bytes of uploads.", registry=self.registry
        )
        self.sent_bytes = Counter(
            "worldloom_gateway_sent_bytes", "Bytes of downloads.", registry=self.registry
        )
        self.watchers = Gauge(
            "worldloom_gateway_watchers", "Streams of Watch that are open.", registry=self.registry
        )
        self.jobs = Gauge(
            "worldloom_gateway_jobs",
            "Jobs and operations by state: queued, running, and those that succeeded or failed "
            "within the last hour.",
            ("state",),
            registry=self.registry,
        )
        self.oldest_wait = Gauge(
            "worldloom_gateway_oldest_wait_seconds",
            "How long the job at the head of the queue has waited.",
            registry=self.registry,
        )
