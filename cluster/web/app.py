"""The pages as an application of aiohttp."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import NoReturn

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from cluster.web import views
from cluster.web.access import Attempts, Caller, Sessions, TokenCheck
from cluster.web.board import JobBoard, JobCard
from cluster.web.config import WebConfig
from cluster.web.headers import REPORT_POLICY, is_from_our_pages
from cluster.web.metrics import WebMetrics
from cluster.web.middleware import add_safety_headers, measured, shown
from cluster.web.stream import no_events, send_events

READ_JOBS, READ_SCENES, READ_METRICS = "jobs.read", "scenes.read", "metrics.read"
_LONGEST_TOKEN = 256
_FORM_BYTES = 4096
_NEXT = re.compile(r"/jobs(/[a-z0-9-]{1,64})?")
_STATIC = {
    "style.css": "text/css",
    "live.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Pass:
    """A caller, and the session that it came by, where it came by one."""

    caller: Caller
    token: str
    form_token: str = ""

    @property
    def visitor(self) -> views.Visitor:
        """Who looks at the page."""
        return views.Visitor(self.caller.name, self.form_token)


@dataclass
class StatusPages:
    """Serves jobs, their progress, previews and reports to people, and probes to machines.

    Args:
        board: The jobs.
        tokens: Whose a token is.
        config: How.
        registry: Metrics that `/metrics` shows.
        is_ready: Whether the gateway takes calls.
        refresh: Brings metrics up to date that are only counted when somebody asks.
        clock: Seconds since 1970.
    """

    board: JobBoard
    tokens: TokenCheck
    config: WebConfig = field(default_factory=WebConfig)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    is_ready: Callable[[], bool] = lambda: True
    refresh: Callable[[], Awaitable[None]] | None = None
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self.metrics = WebMetrics(self.registry)
        self.sessions = Sessions()
        self.attempts = Attempts()
        self.streams: Counter[str] = Counter()
        self.closing = asyncio.Event()

    def application(self) -> web.Application:
        """Returns the application; `close` ends its streams."""
        app = web.Application(
            middlewares=[measured(self.metrics), shown],
            client_max_size=_FORM_BYTES,
        )
        app.add_routes(
            [
                web.get("/", self._home),
                web.get("/login", self._ask),
                web.post("/login", self._login),
                web.post("/logout", self._logout),
                web.get("/jobs", self._jobs),
                web.get("/jobs/{job}", self._job),
                web.get("/jobs/{job}/preview", self._preview),
                web.get("/jobs/{job}/report", self._report),
                web.get("/jobs/{job}/events", self._events),
                web.get("/static/{name}", _static),
                web.get("/healthz", _alive),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._metrics),
            ]
        )
        add_safety_headers(app, self.config.secure)
        app.on_shutdown.append(self._close)
        return app

    async def _close(self, _app: web.Application) -> None:
        self.closing.set()

    async def _home(self, _request: web.Request) -> NoReturn:
        raise web.HTTPSeeOther("/jobs")

    async def _ask(self, request: web.Request) -> web.Response:
        return _html(views.login_page("", _next_path(request.query.get("next", ""))))

    async def _login(self, request: web.Request) -> web.Response:
        now_s, address = self.clock(), request.remote or ""
        _require_own_form(request)
        form = await request.post()
        token, next_path = str(form.get("token", "")).strip(), _next_path(str(form.get("next", "")))
        if self.attempts.is_blocked(address, now_s):
            message = "Too many wrong tokens. Wait a minute."
            return _html(views.login_page(message, next_path), status=429)
        caller = await self.tokens.caller(token) if 0 < len(token) <= _LONGEST_TOKEN else None
        if caller is None:
            self.attempts.failed(address, now_s)
            message = "This token is not valid. It may have expired or been revoked."
            return _html(views.login_page(message, next_path), status=401)
        answer = web.HTTPSeeOther(next_path)
        answer.set_cookie(
            self.config.cookie,
            self.sessions.open(token, now_s),
            path="/",
            secure=self.config.secure,
            httponly=True,
            samesite="Strict",
        )
        raise answer

    async def _logout(self, request: web.Request) -> NoReturn:
        _require_own_form(request)
        session_id = request.cookies.get(self.config.cookie, "")
        session = self.sessions.find(session_id, self.clock())
        form = await request.post()
        if session is not None and form.get("form_token") != session.form_token:
            raise web.HTTPForbidden(text="This form is not from one of our pages.")
        self.sessions.close(session_id)
        answer = web.HTTPSeeOther("/login")
        answer.del_cookie(self.config.cookie, path="/", secure=self.config.secure, httponly=True)
        raise answer

    async def _jobs(self, request: web.Request) -> web.Response:
        who = await self._page_pass(request)
        token = request.query.get("page", "")
        page = await self.board.jobs(who.caller.name, self.config.page_size, token)
        if page is None:
            raise web.HTTPBadRequest(text="There is no such page of jobs.")
        return _html(views.jobs_page(who.visitor, page, is_first=not token))

    async def _job(self, request: web.Request) -> web.Response:
        who = await self._page_pass(request)
        return _html(views.job_page(who.visitor, await self._found(request, who)))

    async def _preview(self, request: web.Request) -> web.Response:
        who = await self._pass(request, READ_JOBS)
        job = await self._found(request, who)
        picture = await self.board.preview(who.caller.name, job.id)
        if picture is None or picture.media_type not in {"image/png", "image/jpeg"}:
            raise web.HTTPNotFound(text="There is no picture yet.")
        return web.Response(body=picture.data, content_type=picture.media_type)

    async def _report(self, request: web.Request) -> web.StreamResponse:
        who = await self._pass(request, READ_SCENES)
        job = await self._found(request, who)
        pieces = await self.board.report(who.caller.name, job.id)
        if pieces is None:
            raise web.HTTPNotFound(text="There is no report yet.")
        answer = web.StreamResponse(headers={"Content-Security-Policy": REPORT_POLICY})
        answer.content_type, answer.charset = "text/html", "utf-8"
        await answer.prepare(request)
        async for piece in pieces:
            await answer.write(piece)
        await answer.write_eof()
        return answer

    async def _events(self, request: web.Request) -> web.StreamResponse:
        who = await self._pass(request, READ_JOBS)
        job = await self._found(request, who)
        after = _sequence(request.headers.get("Last-Event-ID") or request.query.get("after", "0"))
        name = who.caller.name
        if self.streams[name] >= self.config.max_streams:
            raise web.HTTPTooManyRequests(text="Too many streams of events; close some pages.")
        self.streams[name] += 1
        self.metrics.streams.inc()
        try:
            over = job.state.is_final and after >= job.last_sequence
            events = no_events() if over else self.board.events(name, job.id, after)
            return await send_events(
                request, events, self.config.heartbeat_s, self._still(who.token), self.closing
            )
        finally:
            self.metrics.streams.dec()
            self.streams[name] -= 1
            if not self.streams[name]:
                del self.streams[name]

    async def _ready(self, _request: web.Request) -> web.Response:
        if self.closing.is_set() or not self.is_ready():
            return web.Response(text="not ready\n", status=503)
        return web.Response(text="ready\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        if not self.config.open_metrics:
            await self._pass(request, READ_METRICS)
        if self.refresh is not None:
            await self.refresh()
        return web.Response(
            body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    def _still(self, token: str) -> Callable[[], Awaitable[bool]]:
        async def valid() -> bool:
            caller = await self.tokens.caller(token)
            return caller is not None and READ_JOBS in caller.scopes

        return valid

    async def _found(self, request: web.Request, who: Pass) -> JobCard:
        job = await self.board.job(who.caller.name, request.match_info["job"])
        if job is None:
            raise web.HTTPNotFound(text="There is no such job, or it is not yours.")
        return job

    async def _page_pass(self, request: web.Request) -> Pass:
        """The pass of a page, which leads those without one to the form."""
        try:
            return await self._pass(request, READ_JOBS)
        except web.HTTPUnauthorized:
            if "Authorization" in request.headers:
                raise
            raise web.HTTPSeeOther(f"/login?next={_next_path(request.path)}") from None

    async def _pass(self, request: web.Request, scope: str) -> Pass:
        kind, _, sent = request.headers.get("Authorization", "").partition(" ")
        token, form_token = (sent.strip(), "") if kind.lower() == "bearer" else ("", "")
        if not token:
            cookie = request.cookies.get(self.config.cookie, "")
            session = self.sessions.find(cookie, self.clock()) if cookie else None
            token, form_token = (session.token, session.form_token) if session else ("", "")
        caller = await self.tokens.caller(token) if 0 < len(token) <= _LONGEST_TOKEN else None
        if caller is None:
            raise web.HTTPUnauthorized(
                text="Send a token: 'authorization: Bearer TOKEN'.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if scope not in caller.scopes:
            raise web.HTTPForbidden(text=f"The token has no scope {scope}.")
        return Pass(caller, token, form_token)


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in _STATIC:
        raise web.HTTPNotFound(text="There is no such file.")
    data = files("cluster.web").joinpath("page", name).read_bytes()
    return web.Response(
        body=data, content_type=_STATIC[name], headers={"Cache-Control": "max-age=3600"}
    )


async def _alive(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _html(page: str, status: int = 200) -> web.Response:
    return web.Response(text=page, content_type="text/html", status=status)


def _next_path(path: str) -> str:
    """Returns a path of ours to go to after the form; never another site."""
    return path if _NEXT.fullmatch(path) else "/jobs"


def _sequence(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise web.HTTPBadRequest(text="The sequence of an event is a whole number.")
    return int(text)


def _require_own_form(request: web.Request) -> None:
    if not is_from_our_pages(request.headers, request.host):
        raise web.HTTPForbidden(text="This form is not from one of our pages.")
