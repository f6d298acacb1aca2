"""Chromium without a screen, for the tests of pages."""

import base64
import shutil
from contextlib import contextmanager

import av
import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium():
    """A browser; the test is skipped where Debian's Chromium or playwright is missing."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("the program chromium is missing: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(_FLAGS))
        yield browser
        browser.close()


@contextmanager
def opened(browser, file, *, size=(1440, 900), **options):
    """A page of a file; in the end it must have had no error, and have asked for nothing else."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.set_default_timeout(5000)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("#loading", state="hidden")
    # What is touched or clicked before a frame was drawn may meet nothing.
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    yield page
    assert said == []
    assert asked == [file.as_uri()]
    context.close()


def canvas_of(page, selector="#canvas"):
    """The pixels that a canvas holds, (H, W, 3)."""
    url = page.evaluate("(name) => document.querySelector(name).toDataURL()", selector)
    decoder = av.CodecContext.create("png", "r")
    (frame,) = decoder.decode(av.Packet(base64.b64decode(url.partition(",")[2])))
    return frame.to_ndarray(format="rgb24")
