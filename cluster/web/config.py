"""Settings of the pages."""

from dataclasses import dataclass

from worldloom.errors import ConfigError


@dataclass(frozen=True)
class WebConfig:
    """How the pages are served."""

    secure: bool = True
    """Whether browsers come by TLS, ended here or in front: cookies are then sent by TLS only."""
    open_metrics: bool = False
    """Whether `/metrics` answers without a token; for networks where only Prometheus comes."""
    page_size: int = 50
    """Jobs on a page."""
    max_streams: int = 32
    """Streams of events of one caller."""
    heartbeat_s: float = 15.0
    """After that much silence a stream sends a comment and asks about its token again."""

    def __post_init__(self) -> None:
        if self.page_size < 1 or self.max_streams < 1:
            raise ConfigError("page_size and max_streams must be at least 1", field="page_size")
        if not self.heartbeat_s > 0:
            raise ConfigError("heartbeat_s must be above 0", field="heartbeat_s")

    @property
    def cookie(self) -> str:
        """Name of the cookie; browsers take the prefix with TLS, for this host alone, only."""
        return "__Host-worldloom" if self.secure else "worldloom"
