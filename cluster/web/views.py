"""The pages, from records to HTML."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from cluster.web.board import BoardEvent, BoardPage, BoardState, JobCard, StageBar

_PAGES = Environment(
    loader=PackageLoader("cluster.web", "page"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page."""

    name: str
    form_token: str
    """Empty for callers that send a token with each request."""


def login_page(message: str, next_path: str) -> str:
    """Returns the page that asks for a token."""
    return _page("login.html.j2", message=message, next=next_path, visitor=None)


def jobs_page(visitor: Visitor, page: BoardPage, is_first: bool) -> str:
    """Returns the list of jobs."""
    return _page("jobs.html.j2", visitor=visitor, page=page, is_first=is_first)


def job_page(visitor: Visitor, job: JobCard) -> str:
    """Returns the page of one job."""
    return _page("job.html.j2", visitor=visitor, job=job, viewer=web_url(job.viewer_url))


def error_page(status: int, message: str) -> str:
    """Returns the page of an error."""
    return _page("error.html.j2", visitor=None, status=status, message=message)


def event_fields(event: BoardEvent) -> dict[str, Any]:
    """Returns what a stream of events says of one, for `live.js`."""
    fields: dict[str, Any] = {"sequence": event.sequence, "time": instant(event.time_s)}
    if event.state is not None:
        fields |= {"state": event.state.value, "final": event.is_last}
    if event.stage is not None:
        fields["stage"] = {
            "name": event.stage.stage,
            "done": event.stage.done,
            "total": event.stage.total,
            "text": stage_text(event.stage),
        }
    if event.warning is not None:
        fields["warning"] = event.warning
    if event.preview is not None:
        fields["preview"] = event.preview
    return fields


def instant(time_s: float) -> str:
    """Returns a time as HTML's `datetime` wants it."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds")


def clock(time_s: float) -> str:
    """Returns a time for people, where no script puts it into their zone."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """Returns a length of time in two units at most."""
    total = max(0, math.floor(seconds))
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"


def stage_text(stage: StageBar) -> str:
    """Returns how far a stage has come, in words."""
    parts = [f"{stage.done} of {stage.total}"]
    if stage.failed:
        parts.append(f"{stage.failed} failed")
    if stage.remaining_s is not None and stage.done < stage.total:
        parts.append(f"about {duration(stage.remaining_s)} left")
    return ", ".join(parts)


def took(job: JobCard) -> str | None:
    """Returns how long a job took, where it has begun and ended."""
    if job.start_s is None or job.end_s is None:
        return None
    return duration(job.end_s - job.start_s)


def web_url(url: str | None) -> str | None:
    """Returns an address only if a browser shows a page there, and runs no script of it."""
    if url is None or urlsplit(url).scheme not in {"http", "https"}:
        return None
    return url


def _page(name: str, **values: object) -> str:
    return _PAGES.get_template(name).render(
        values
        | {
            "clock": clock,
            "instant": instant,
            "stage_text": stage_text,
            "took": took,
            "states": BoardState,
        }
    )
