"""A browser for the pages: Debian's chromium, with WebGL in software."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

from tests.shown import show_folder

FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
REQUIRED = "WORLDLOOM_NEEDS_BROWSER"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        reason = "no chromium: run `make pages`, which installs it, or apt-get install chromium"
        if os.environ.get(REQUIRED):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page, and what it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """A page on a small desktop."""
    context = browser.new_context(viewport={"width": 960, "height": 720}, color_scheme="light")
    yield Opened(context.new_page())
    context.close()


@pytest.fixture
def phone(browser: Browser) -> Iterator[Opened]:
    """A page on a phone, at night."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    yield Opened(context.new_page())
    context.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished scene."""
    folder = tmp_path_factory.mktemp("scene")
    show_folder(folder)
    return folder


def pixels(locator: Locator) -> np.ndarray:
    """What an element looks like, h w 3."""
    data = locator.screenshot(timeout=20_000)
    return np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int)


def painted_share(image: np.ndarray) -> float:
    """Share of the pixels that differ from the most frequent colour."""
    colors, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
    paper = colors[counts.argmax()]
    return float((np.abs(image - paper).max(axis=-1) > 12).mean())
