"""The pages of jobs in a browser: signing in, live progress, both schemes, no complaint."""

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from cluster.web.app import StatusPages
from cluster.web.board import BoardEvent, BoardState, Picture, StageBar
from cluster.web.config import WebConfig
from cluster.web.server import WebServer, serve_pages
from tests.boards import ALICE, MemoryBoard, MemoryTokens, card
from tests.browser.conftest import Opened
from worldloom.report import ReportConfig, write_report

pytestmark = [pytest.mark.browser, pytest.mark.timeout(100)]
NOW_S = 1_790_000_000.0
REPORT = b"<!doctype html><h1>Report</h1><p id=o></p><script>o.textContent = self.origin</script>"


def picture(shade: int) -> Picture:
    rows, cols = np.mgrid[0:270, 0:480]
    pixels = np.stack([rows * 0 + shade, cols // 2, rows // 2], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return Picture("image/jpeg", buffer.getvalue())


@dataclass
class Site:
    """Pages that are served by a thread."""

    board: MemoryBoard
    tokens: MemoryTokens
    url: str
    loop: asyncio.AbstractEventLoop

    def happen(self, event: BoardEvent) -> None:
        """Lets something happen to the job that runs."""
        self.call(lambda: self.board.happen("walk", event))

    def call(self, function: Callable[[], object]) -> None:
        async def run() -> None:
            function()

        asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


def filled() -> MemoryBoard:
    board = MemoryBoard()
    long = "A very long name of a scene that was recorded in the old town hall, second floor"
    board.add(
        "alice",
        card(
            "done",
            BoardState.SUCCEEDED,
            name="Kitchen",
            start_s=NOW_S - 900,
            end_s=NOW_S - 321,
            has_report=True,
            degraded=True,
            viewer_url="http://127.0.0.1:9/",
        ),
    )
    board.kept["done"].report = REPORT
    board.kept["done"].picture = picture(90)
    fault = "no two views overlap: the baseline is zero in all 63 frames; give poses that move"
    board.add(
        "alice",
        card("lost", BoardState.FAILED, name=long, fault=fault, start_s=NOW_S - 60, end_s=NOW_S),
    )
    board.add("alice", card("next", BoardState.QUEUED, name="", kind="export_mesh"))
    board.add("alice", card("walk", name="Garden walk", start_s=NOW_S))
    board.kept["walk"].picture = picture(20)
    for event in (
        BoardEvent(1, NOW_S, state=BoardState.RUNNING),
        BoardEvent(2, NOW_S + 1, stage=StageBar("ingest", 120, 120)),
        BoardEvent(3, NOW_S + 9, warning="frame 17 is blurred and was passed over"),
        BoardEvent(4, NOW_S + 20, stage=StageBar("depth", 30, 120, 1, 184.0)),
        BoardEvent(5, NOW_S + 21, preview="view 12 and its depth"),
    ):
        board.happen("walk", event)
    return board


@pytest.fixture
def site() -> Iterator[Site]:
    board, tokens = filled(), MemoryTokens()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Awaitable[WebServer | None]) -> WebServer | None:
        async def awaited() -> WebServer | None:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), loop).result(20)

    async def serve() -> WebServer:
        pages = StatusPages(board, tokens, WebConfig(secure=False, heartbeat_s=0.3))
        return await serve_pages(pages.application(), "127.0.0.1", 0, drain_s=1.0)

    server = run(serve())
    assert server is not None
    yield Site(board, tokens, f"http://127.0.0.1:{server.port}", loop)
    run(server.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def sign_in(opened: Opened, site: Site, path: str = "/jobs") -> None:
    opened.page.goto(site.url + path)
    opened.page.get_by_label("Token").fill(ALICE)
    opened.page.get_by_role("button", name="Sign in").click()
    opened.page.wait_for_url(site.url + path)


def nothing_overflows(opened: Opened) -> bool:
    script = "document.documentElement.scrollWidth <= window.innerWidth"
    return bool(opened.page.evaluate(script))


def test_a_wrong_token_is_told_and_the_right_one_leads_on(opened: Opened, site: Site):
    opened.page.goto(f"{site.url}/jobs/walk")
    opened.page.get_by_label("Token").fill("wrong")
    opened.page.get_by_role("button", name="Sign in").click()
    expect(opened.page.get_by_role("alert")).to_contain_text("not valid")
    opened.complaints.clear()  # the browser logs the 401 of the form
    opened.page.get_by_label("Token").fill(ALICE)
    opened.page.get_by_role("button", name="Sign in").click()
    expect(opened.page.get_by_role("heading", level=1)).to_have_text("Garden walk")
    cookies = opened.page.context.cookies()
    assert [(c["httpOnly"], c["sameSite"]) for c in cookies] == [(True, "Strict")]  # type: ignore[typeddict-item]
    assert opened.page.evaluate("document.cookie") == ""
    assert opened.complaints == []


def test_the_list_shows_all_jobs_and_keeps_itself_up_to_date(opened: Opened, site: Site):
    opened.page.clock.install()
    sign_in(opened, site)
    rows = opened.page.locator("tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_contain_text("30 of 120, 1 failed, about 3 min 4 s left")
    expect(rows.nth(1)).to_contain_text("queued")
    expect(rows.nth(2)).to_contain_text("no two views overlap")
    site.happen(BoardEvent(6, NOW_S + 50, stage=StageBar("fuse", 2, 9)))
    opened.page.clock.run_for(6000)
    expect(rows.nth(0)).to_contain_text("fuse, 2 of 9")
    assert nothing_overflows(opened)
    assert opened.complaints == []
    assert [u for u in opened.requests if not u.startswith(site.url)] == []


def test_a_job_is_followed_live_to_its_end(opened: Opened, site: Site):
    sign_in(opened, site, "/jobs/walk")
    page = opened.page
    bar, log = page.locator("[data-bar]"), page.get_by_role("log")
    expect(log).to_contain_text("frame 17 is blurred")
    expect(page.locator("[data-preview-title]")).to_have_text("view 12 and its depth")
    assert page.locator("[data-preview]").evaluate("image => image.naturalWidth") == 480
    assert bar.evaluate("bar => bar.value / bar.max") == 0.25
    site.happen(BoardEvent(6, NOW_S + 60, stage=StageBar("depth", 90, 120, 1, 40.0)))
    expect(page.locator("[data-stage-text]")).to_have_text("90 of 120, 1 failed, about 40 s left")
    assert bar.evaluate("bar => bar.value / bar.max") == 0.75
    site.happen(BoardEvent(7, NOW_S + 70, warning="<img src=x onerror=alert(1)>"))
    expect(log).to_contain_text("<img src=x onerror=alert(1)>")
    site.happen(BoardEvent(8, NOW_S + 99, state=BoardState.SUCCEEDED))
    # The page of a job that has ended is loaded anew, and tells its events again.
    expect(page.get_by_text("Took", exact=True)).to_be_visible()
    expect(page.locator(".badge").first).to_have_text("succeeded")
    expect(log).to_contain_text("The job is succeeded")
    assert opened.complaints == []


def test_a_lost_connection_is_taken_up_where_it_broke(opened: Opened, site: Site):
    sign_in(opened, site, "/jobs/walk")
    log = opened.page.get_by_role("log").locator("li")
    expect(log).to_have_count(5)
    opened.page.context.set_offline(True)
    site.happen(BoardEvent(6, NOW_S + 60, warning="told in between"))
    opened.page.context.set_offline(False)
    expect(opened.page.get_by_role("log")).to_contain_text("told in between", timeout=15_000)
    expect(log).to_have_count(6)


def test_a_report_opens_in_an_origin_of_its_own(opened: Opened, site: Site):
    sign_in(opened, site, "/jobs/done")
    with opened.page.context.expect_page() as waiting:
        opened.page.get_by_role("link", name="Report").click()
    report = waiting.value
    expect(report.get_by_role("heading")).to_have_text("Report")
    expect(report.locator("#o")).to_have_text("null")
    expect(opened.page.get_by_text("Parts of the scene could not be made")).to_be_visible()


def test_signing_out_and_a_revoked_token_end_the_session(opened: Opened, site: Site):
    sign_in(opened, site)
    opened.page.get_by_role("button", name="Sign out").click()
    opened.page.wait_for_url(f"{site.url}/login")
    opened.page.goto(f"{site.url}/jobs")
    expect(opened.page.get_by_label("Token")).to_be_visible()
    sign_in(opened, site)
    site.call(lambda: site.tokens.callers.pop(ALICE))
    opened.page.reload()
    expect(opened.page.get_by_label("Token")).to_be_visible()


def test_it_fits_a_phone_at_night_and_works_by_keyboard(phone: Opened, site: Site):
    sign_in(phone, site)
    assert nothing_overflows(phone)
    dark = phone.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(v) for v in dark[4:-1].split(",")) < 60
    phone.page.keyboard.press("Tab")
    expect(phone.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    phone.page.get_by_role("link", name="Garden walk").focus()
    phone.page.keyboard.press("Enter")
    expect(phone.page.get_by_role("heading", level=1)).to_have_text("Garden walk")
    assert nothing_overflows(phone)
    assert phone.complaints == []


CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const back = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const worst = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !node.checkVisibility()) continue;
    const a = light(parse(getComputedStyle(node).color)), b = light(back(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) worst.push([ratio.toFixed(2), node.className, node.textContent.trim()]);
  }
  return worst;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out(opened: Opened, site: Site, scheme: str):
    """Contrast of 4.5 and more: WCAG 2.2, 1.4.3."""
    opened.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened.page.goto(f"{site.url}/login")
    assert opened.page.evaluate(CONTRAST) == []
    sign_in(opened, site)
    for path in ("/jobs", "/jobs/walk", "/jobs/lost", "/jobs/done", "/jobs/next"):
        opened.page.goto(site.url + path)
        assert opened.page.evaluate(CONTRAST) == [], path


def test_a_real_report_draws_its_model_in_the_sandbox(opened: Opened, site: Site, folder: Path):
    path = write_report(folder, config=ReportConfig(turntable_frames=6, turntable_px=96))
    site.board.kept["done"].report = path.read_bytes()
    sign_in(opened, site, "/jobs/done")
    opened.complaints.clear()
    opened.page.goto(f"{site.url}/jobs/done/report")
    opened.page.wait_for_selector("#model[data-state=ready]", timeout=30_000)
    assert opened.complaints == []
    assert opened.page.evaluate("self.origin") == "null"
