"""The report in a browser: no complaint, no request, the model drawn, every button at work."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import Opened, painted_share, pixels
from tests.shown import FAILURE, show_folder, textured
from worldloom.report import ReportConfig, write_report

pytestmark = [pytest.mark.browser, pytest.mark.timeout(100)]
QUICK = ReportConfig(turntable_frames=6, turntable_px=96)
BOXES = {"cloud": 0.002, "clay": 0.02, "wireframe": 0.02, "cameras": 0.001}
"""Check boxes, and the share of the pixels that each has to change."""


@pytest.fixture(scope="session")
def report(folder: Path) -> Path:
    return write_report(folder, config=QUICK)


def open_report(opened: Opened, path: Path) -> None:
    opened.page.goto(path.as_uri())
    opened.page.wait_for_selector("#model[data-state=ready]", timeout=20_000)


def stage(opened: Opened) -> np.ndarray:
    return pixels(opened.page.locator("#model .stage"))


def changed_share(before: np.ndarray, after: np.ndarray) -> float:
    return float((np.abs(before - after).max(axis=-1) > 12).mean())


def check_at_first_sight(opened: Opened, report: Path) -> None:
    open_report(opened, report)
    image = stage(opened)
    assert painted_share(image) > 0.08
    # Many colours: a surface, not a shape filled with one.
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 200
    assert opened.complaints == []
    elsewhere = [u for u in opened.requests if not u.startswith(("file:", "data:", "blob:"))]
    assert elsewhere == []
    assert len([url for url in opened.requests if url.startswith("file:")]) == 1
    width = opened.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert width <= 0


def test_it_opens_from_disk_without_a_complaint_and_draws_the_model(opened: Opened, report: Path):
    check_at_first_sight(opened, report)


def test_it_opens_on_a_phone_without_a_complaint(phone: Opened, report: Path):
    check_at_first_sight(phone, report)
    # On a narrow page the table of views becomes cards, its head goes.
    assert not phone.page.locator("#views-table thead").is_visible()
    button = phone.page.locator("#model [name=overview]").bounding_box()
    assert button is not None
    assert button["height"] >= 30
    phone.page.get_by_role("button", name="Light page").click()
    assert phone.complaints == []


def test_every_control_of_the_model_changes_the_picture(opened: Opened, report: Path):
    open_report(opened, report)
    page = opened.page
    for name, share in BOXES.items():
        before = stage(opened)
        page.locator(f"#model [name={name}]").click()
        assert changed_share(before, stage(opened)) > share, name
        page.locator(f"#model [name={name}]").click()
        assert changed_share(before, stage(opened)) < 0.001, name
    before = stage(opened)
    page.locator("#model [name=view]").select_option("2")
    inside = stage(opened)
    assert changed_share(before, inside) > 0.1
    page.locator("#model [name=overview]").click()
    assert changed_share(before, stage(opened)) < 0.001
    page.locator("#model [name=spin]").click()
    page.wait_for_timeout(600)
    page.locator("#model [name=spin]").click()
    assert changed_share(before, stage(opened)) > 0.01
    assert opened.complaints == []


def test_the_model_turns_by_mouse_and_by_keys(opened: Opened, report: Path):
    open_report(opened, report)
    canvas = opened.page.locator("#model canvas")
    before = stage(opened)
    canvas.focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "+"):
        opened.page.keyboard.press(key)
    turned = stage(opened)
    assert changed_share(before, turned) > 0.02
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + 60
    opened.page.mouse.move(x, y)
    opened.page.mouse.down()
    opened.page.mouse.move(x + 90, y + 10, steps=3)
    opened.page.mouse.up()
    assert changed_share(turned, stage(opened)) > 0.02


def test_a_picture_is_saved(opened: Opened, report: Path, tmp_path: Path):
    open_report(opened, report)
    with opened.page.expect_download() as download:
        opened.page.locator("#model [name=picture]").click()
    download.value.save_as(tmp_path / "picture.png")
    saved = np.asarray(Image.open(tmp_path / "picture.png").convert("RGB")).astype(int)
    assert painted_share(saved) > 0.08


def test_the_look_of_the_page_switches(opened: Opened, report: Path):
    open_report(opened, report)
    paper = "getComputedStyle(document.body).backgroundColor"
    button = opened.page.locator("#theme")
    first, label = opened.page.evaluate(paper), button.inner_text()
    before = stage(opened)
    button.click()
    assert opened.page.evaluate(paper) != first
    assert button.inner_text() != label
    assert changed_share(before, stage(opened)) > 0.3
    button.click()
    assert opened.page.evaluate(paper) == first


def test_the_turntable_turns(opened: Opened, report: Path):
    open_report(opened, report)
    table = opened.page.locator("#turntable .strip")
    table.scroll_into_view_if_needed()
    before = pixels(table)
    assert painted_share(before) > 0.1
    opened.page.locator("#turntable input").fill("3")
    assert changed_share(before, pixels(table)) > 0.05
    button = opened.page.locator("#turntable button")
    button.click()
    assert button.inner_text() == "Pause"
    # The policy of the page lets nobody evaluate scripts, so that this waits from outside.
    expect(opened.page.locator("#turntable input")).not_to_have_value("3", timeout=5_000)
    button.click()
    assert button.inner_text() == "Play"


def test_views_are_sorted_found_and_looked_from(opened: Opened, report: Path):
    open_report(opened, report)
    page = opened.page
    rows = page.locator("#views-table tbody tr")
    assert rows.count() == 4
    head = page.get_by_role("button", name="Kept")
    head.click()
    head.click()
    assert rows.first.get_attribute("id") == "view-3"
    assert page.locator("th[aria-sort=descending]").count() == 1
    page.locator("#filter").fill("corner/2")
    assert page.locator("#views-table tbody tr:visible").count() == 1
    assert page.locator("#filter-result").inner_text() == "1 of 4 views"
    before = stage(opened)
    page.get_by_role("button", name="Look from corner/2").click()
    assert changed_share(before, stage(opened)) > 0.1
    assert page.locator("#model [name=view]").input_value() == "2"
    assert opened.complaints == []


def test_a_textured_and_degraded_scene(opened: Opened, tmp_path: Path):
    scene = show_folder(tmp_path, degraded=True, failures=(FAILURE,))
    path = write_report(textured(scene), tmp_path / "page.html", config=QUICK)
    open_report(opened, path)
    opened.page.wait_for_timeout(300)
    assert opened.page.get_by_role("alert").is_visible()
    image = stage(opened)
    assert painted_share(image) > 0.08
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 200
    # With textures the scene looks as it does with the colours that they were painted from.
    plain = write_report(dataclasses.replace(scene), tmp_path / "plain.html", config=QUICK)
    open_report(opened, plain)
    other = stage(opened)
    rows = min(len(image), len(other))
    assert np.abs(image[:rows] - other[:rows]).mean() < 12
    assert opened.complaints == []


def test_without_webgl_the_page_says_so_and_keeps_its_pictures(opened: Opened, report: Path):
    opened.page.add_init_script(
        "HTMLCanvasElement.prototype.getContext = function () { return null; };"
    )
    opened.page.goto(report.as_uri())
    opened.page.wait_for_selector("#model[data-state=failed]", timeout=20_000)
    assert "No 3D view in this browser" in opened.page.locator("#model .note").inner_text()
    assert not opened.page.locator("#model .controls").is_visible()
    assert opened.page.locator("#turntable .strip").is_visible()
