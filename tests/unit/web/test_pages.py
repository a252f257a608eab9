"""The pages through a real server on loopback: who sees what, and what is refused."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientResponse, CookieJar
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from cluster.web.access import SESSION_S
from cluster.web.app import StatusPages
from cluster.web.board import BoardState, Picture, StageBar
from cluster.web.config import WebConfig
from tests.boards import ALICE, BOB, METER, MemoryBoard, MemoryTokens, card

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
PAGE = {"Accept": "text/html"}
REPORT = b"<script>document.cookie</script>" * 100
OPEN = {"/healthz", "/readyz", "/login", "/static/style.css", "/static/live.js"}
CLOSED = {
    "/jobs",
    "/jobs/j1",
    "/jobs/j1/preview",
    "/jobs/j1/report",
    "/jobs/j1/events",
    "/metrics",
}


class Site:
    """Pages with three jobs, and a browser."""

    def __init__(self, client: TestClient, pages: StatusPages, clock: list[float]) -> None:
        self.client = client
        self.pages = pages
        self.clock = clock
        assert isinstance(pages.board, MemoryBoard)
        assert isinstance(pages.tokens, MemoryTokens)
        self.board, self.tokens = pages.board, pages.tokens

    async def get(self, path: str, token: str | None = None, **headers: str) -> ClientResponse:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.client.get(path, headers=headers, allow_redirects=False)

    async def post(self, path: str, data: dict[str, str], **headers: str) -> ClientResponse:
        sent = {"Sec-Fetch-Site": "same-origin"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        return await self.client.post(path, data=data, headers=sent, allow_redirects=False)

    async def sign_in(self, token: str = ALICE) -> ClientResponse:
        return await self.post("/login", {"token": token, "next": "/jobs/j1"})


def board() -> MemoryBoard:
    made = MemoryBoard()
    job = made.add("alice", card("j1", stage=StageBar("depth", 3, 12, 1, 95.0)))
    job.picture, job.report = Picture("image/png", PNG), REPORT
    made.add("alice", card("j2", BoardState.FAILED, name="<b>bold</b>", fault="no <i>overlap</i>"))
    made.add("bob", card("k1"))
    return made


def visit(test: Callable[[Site], Awaitable[None]], **settings: object) -> None:
    """Runs a test in a browser of its own, which takes cookies of addresses."""

    async def run() -> None:
        clock = [1000.0]
        config = WebConfig(**({"secure": False} | settings))  # type: ignore[arg-type]
        pages = StatusPages(
            board(), MemoryTokens(), config, CollectorRegistry(), clock=lambda: clock[0]
        )
        server = TestServer(pages.application())
        jar = CookieJar(unsafe=True)
        async with TestClient(server, cookie_jar=jar) as client:
            await test(Site(client, pages, clock))

    asyncio.run(run())


def test_nothing_is_shown_without_a_token():
    async def test(site: Site) -> None:
        for path in sorted(OPEN):
            assert (await site.get(path)).status == 200, path
        for path in sorted(CLOSED):
            for token in (None, "", "wrong", ALICE + "x", "a" * 5000):
                answer = await site.get(path, token)
                body = await answer.text()
                assert answer.status in {303, 401}, (path, token)
                assert "scene" not in body
            assert (await site.get(path, "wrong")).headers["WWW-Authenticate"] == "Bearer"
        answer = await site.get("/jobs/j1")
        assert answer.headers["Location"] == "/login?next=/jobs/j1"

    visit(test)


def test_every_route_is_in_the_table_of_this_test():
    routes = {
        resource.canonical.replace("{job}", "j1").replace("{name}", "style.css")
        for resource in StatusPages(board(), MemoryTokens()).application().router.resources()
    }
    assert routes | {"/static/live.js"} == OPEN | CLOSED | {"/", "/logout"}


def test_a_caller_sees_its_own_jobs_only():
    async def test(site: Site) -> None:
        page = await (await site.get("/jobs", ALICE)).text()
        assert re.findall(r'href="/jobs/(\w+)"', page) == ["j2", "j1"]
        assert re.findall(r'href="/jobs/(\w+)"', await (await site.get("/jobs", BOB)).text()) == [
            "k1"
        ]
        for path in ("/jobs/j1", "/jobs/j1/preview", "/jobs/j1/events", "/jobs/none"):
            assert (await site.get(path, BOB)).status == 404, path
        # Another scope is needed for what shows the scene.
        assert (await site.get("/jobs/k1/report", BOB)).status == 403
        assert (await site.get("/jobs", METER)).status == 403

    visit(test)


def test_what_callers_have_written_is_text():
    async def test(site: Site) -> None:
        for path in ("/jobs", "/jobs/j2"):
            page = await (await site.get(path, ALICE)).text()
            assert "&lt;b&gt;bold" in page
            assert "<b>" not in page
            assert "<i>" not in page

    visit(test)


def test_a_session_stands_for_its_token_until_that_is_revoked():
    async def test(site: Site) -> None:
        answer = await site.sign_in()
        assert (answer.status, answer.headers["Location"]) == (303, "/jobs/j1")
        cookie = answer.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert ALICE not in cookie
        assert (await site.get("/jobs/j1")).status == 200
        del site.tokens.callers[ALICE]
        assert (await site.get("/jobs/j1")).status == 303

    visit(test)


def test_a_session_ends_by_age_and_by_signing_out():
    async def test(site: Site) -> None:
        await site.sign_in()
        site.clock[0] += SESSION_S - 1
        page = await (await site.get("/jobs")).text()
        form_token = re.search(r'name="form_token" value="([^"]+)"', page)
        assert form_token is not None
        wrong = await site.post("/logout", {"form_token": "guessed"})
        assert wrong.status == 403
        assert (await site.get("/jobs")).status == 200
        assert (await site.post("/logout", {"form_token": form_token[1]})).status == 303
        assert (await site.get("/jobs")).status == 303
        await site.sign_in()
        site.clock[0] += SESSION_S
        assert (await site.get("/jobs")).status == 303

    visit(test)


def test_with_tls_cookies_are_for_this_host_and_tls_only():
    async def test(site: Site) -> None:
        answer = await site.sign_in()
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-worldloom=")
        assert "Secure" in cookie.split("; ")
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")

    visit(test, secure=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://127.0.0.1"},
    ],
)
def test_forms_of_other_sites_are_refused(headers: dict[str, str]):
    async def test(site: Site) -> None:
        answer = await site.post("/login", {"token": ALICE, "next": "/jobs"}, **headers)
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers

    visit(test)


def test_old_browsers_are_known_by_the_origin():
    async def test(site: Site) -> None:
        async def status(origin: str) -> int:
            answer = await site.client.post(
                "/login", data={"token": ALICE}, headers={"Origin": origin}, allow_redirects=False
            )
            return answer.status

        host = f"http://127.0.0.1:{site.client.port}"
        assert await status(host) == 303
        for origin in ("http://evil.example", "null", host + "0"):
            assert await status(origin) == 403, origin

    visit(test)


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/jobs/../x", "/jobs/j1/report", "/logout", "/JOBS"],
)
def test_after_signing_in_one_stays_here(path: str):
    async def test(site: Site) -> None:
        answer = await site.post("/login", {"token": ALICE, "next": path})
        assert answer.headers["Location"] == "/jobs"

    visit(test)


def test_wrong_tokens_are_slowed_down():
    async def test(site: Site) -> None:
        for _ in range(10):
            assert (await site.sign_in("wrong")).status == 401
        assert (await site.sign_in("wrong")).status == 429
        # The right one has to wait too: the answer must not tell which it was.
        assert (await site.sign_in(ALICE)).status == 429
        site.clock[0] += 61
        assert (await site.sign_in(ALICE)).status == 303

    visit(test)


def test_every_answer_has_its_safety_headers():
    async def test(site: Site) -> None:
        for path in (
            "/jobs",
            "/jobs/j1",
            "/jobs/none",
            "/nowhere",
            "/login",
            "/metrics",
            "/healthz",
        ):
            answer = await site.get(path, ALICE, **PAGE)
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';"), path
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Server"] == "worldloom"

    visit(test)


def test_no_page_has_anything_inline():
    async def test(site: Site) -> None:
        for path in ("/login", "/jobs", "/jobs/j1", "/jobs/none"):
            page = await (await site.get(path, ALICE, **PAGE)).text()
            assert re.search(r"<script(?![^>]* src=)", page) is None
            assert re.search(r"<style|\sstyle=|\son\w+=|javascript:", page) is None

    visit(test)


def test_a_report_runs_in_a_sandbox():
    async def test(site: Site) -> None:
        answer = await site.get("/jobs/j1/report", ALICE)
        assert await answer.read() == REPORT
        rules = answer.headers["Content-Security-Policy"].split("; ")
        (sandbox,) = (rule for rule in rules if rule.startswith("sandbox"))
        assert "allow-scripts" in sandbox
        assert "allow-same-origin" not in sandbox
        assert "connect-src data: blob:" in rules
        assert (await site.get("/jobs/j2/report", ALICE)).status == 404

    visit(test)


def test_previews_are_pictures_and_nothing_else():
    async def test(site: Site) -> None:
        answer = await site.get("/jobs/j1/preview", ALICE)
        assert (await answer.read(), answer.content_type) == (PNG, "image/png")
        assert (await site.get("/jobs/j2/preview", ALICE)).status == 404
        site.board.kept["j1"].picture = Picture("image/svg+xml", b"<svg onload='alert(1)'/>")
        assert (await site.get("/jobs/j1/preview", ALICE)).status == 404

    visit(test)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//x", "ftp://x"])
def test_a_viewer_is_linked_by_http_only(url: str):
    async def test(site: Site) -> None:
        site.board.add("alice", card("v1", viewer_url=url))
        assert "Viewer" not in await (await site.get("/jobs/v1", ALICE)).text()
        site.board.add("alice", card("v2", viewer_url="https://view.example/1"))
        assert 'href="https://view.example/1"' in await (await site.get("/jobs/v2", ALICE)).text()

    visit(test)


def test_pages_of_jobs_lead_on():
    async def test(site: Site) -> None:
        for number in range(5):
            site.board.add("alice", card(f"n{number}"))
        seen: list[str] = []
        path = "/jobs"
        for _ in range(4):
            page = await (await site.get(path, ALICE)).text()
            seen += re.findall(r'href="/jobs/(\w+)"', page)
            older = re.search(r'href="(/jobs\?page=[^"]+)"', page)
            if older is None:
                break
            path = older[1]
        assert seen == ["n4", "n3", "n2", "n1", "n0", "j2", "j1"]
        assert (await site.get("/jobs?page=nonsense", ALICE)).status == 400

    visit(test, page_size=3)


def test_machines_get_text_and_browsers_pages():
    async def test(site: Site) -> None:
        answer = await site.get("/jobs/none", ALICE)
        assert (answer.status, answer.content_type) == (404, "text/plain")
        answer = await site.get("/jobs/none", ALICE, **PAGE)
        assert (answer.status, answer.content_type) == (404, "text/html")
        assert (await site.client.post("/jobs")).status == 405
        large = await site.client.post("/login", data={"token": "x" * 10_000})
        assert large.status == 413

    visit(test)


def test_a_defect_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture):
    async def test(site: Site) -> None:
        async def broken(caller: str, size: int, token: str) -> None:
            raise RuntimeError("the password is 123")

        site.board.jobs = broken  # type: ignore[method-assign,assignment]
        answer = await site.get("/jobs", ALICE)
        assert answer.status == 500
        assert "123" not in await answer.text()

    visit(test)
    assert "the password is 123" in caplog.text
    assert ALICE not in caplog.text


def test_metrics_count_by_route_and_need_a_token():
    async def test(site: Site) -> None:
        for number in range(30):
            await site.get(f"/jobs/x{number}", ALICE)
            await site.get(f"/y{number}")
        text = await (await site.get("/metrics", METER)).text()
        assert 'worldloom_http_requests_total{code="404",route="/jobs/{job}"} 30.0' in text
        assert 'worldloom_http_requests_total{code="404",route="none"} 30.0' in text
        assert "x29" not in text
        assert (await site.get("/metrics", BOB)).status == 403

    visit(test)


def test_metrics_may_be_open_where_the_network_is_closed():
    async def test(site: Site) -> None:
        assert (await site.get("/metrics")).status == 200

    visit(test, open_metrics=True)


def test_ready_says_what_the_gateway_says():
    async def test(site: Site) -> None:
        assert (await site.get("/readyz")).status == 200
        site.pages.is_ready = lambda: False
        assert (await site.get("/readyz")).status == 503
        assert (await site.get("/healthz")).status == 200

    visit(test)
