"""The page in a browser: what it draws, its keys, its pointers, how it fits."""

import re

import numpy as np
import pytest

from support.browser import canvas_of, chromium, opened
from support.compared import LOSSLESS, holds, numbered, picture_of, write_three
from support.media import write_clip
from vqe_fast.comparison import compare_videos

FRAMES = 8


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    a, b, r = write_three(folder, frames=FRAMES, size=(96, 64))
    compare_videos(a, b, folder / "page.html", reference=r)
    return folder / "page.html"


@pytest.fixture
def page(browser, file):
    with opened(browser, file) as page:
        yield page


def place(page):
    return page.inner_text("#place")


def wait_for(page, frame):
    page.wait_for_function(
        "(start) => document.getElementById('place').textContent.startsWith(start)",
        arg=f"frame {frame} ",
    )


def mode(page):
    return page.input_value("#modes input:checked")


def status(page):
    return page.text_content("#status")


def one_to_one(page, key):
    """What a view shows at one pixel to one pixel."""
    page.keyboard.press(key)
    page.keyboard.press("9")
    return canvas_of(page)


def test_stepping_shows_exactly_the_frame(page, file):
    """Pixel for pixel the picture in the file, which is the decoded frame."""
    steps = [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 7), ("Home", 0)]
    for key, frame in [*steps, (".", 1), (",", 0), ("PageDown", 7), ("PageUp", 0)]:
        page.keyboard.press(key)
        wait_for(page, frame)
        for view, letter in (("3", "A"), ("4", "B"), ("5", "R")):
            assert holds(one_to_one(page, view), picture_of(file, f"{letter}{frame}"))
    assert place(page) == "frame 0 · 0:00.00"


def test_buttons_and_timeline(page):
    for name, frame in (("One frame on", 1), ("Last frame", 7), ("One frame back", 6)):
        page.get_by_role("button", name=name).click()
        wait_for(page, frame)
    page.get_by_role("button", name="First frame").click()
    wait_for(page, 0)
    page.fill("#seek", "5")
    wait_for(page, 5)
    assert page.get_attribute("#seek", "aria-valuetext") == "frame 5 · 0:00.20"


def test_views_by_key(page):
    expected = ["divider", "side", "A", "B", "R", "difference"]
    for key, name in enumerate(expected, 1):
        page.keyboard.press(str(key))
        assert mode(page) == name
        assert page.is_visible("#divider") == (name == "divider")
        assert page.is_visible("#difference") == (name == "difference")
        labels = page.locator(".label").all_inner_texts()
        letters = {"divider": 2, "side": 3}.get(name, 1)
        assert len(labels) == letters
    assert status(page) == "The absolute difference, amplified"
    page.get_by_role("radio", name="Side by side").click()
    assert mode(page) == "side"


def test_divider(page, file):
    """A is left of it and B right of it, wherever it is dragged."""
    page.keyboard.press("9")
    box = page.locator("#canvas").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    a, b = (picture_of(file, f"{letter}0") for letter in "AB")
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 24, middle[1] + 5, steps=4)
    page.mouse.up()
    assert page.get_attribute("#divider", "aria-valuenow") == "75"
    both = np.concatenate((a[:, :72], b[:, 72:]), 1)
    assert holds(canvas_of(page), both)
    page.focus("#divider")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#divider", "aria-valuetext") == "A 65%, B 35%"
    page.keyboard.press("Home")
    assert holds(canvas_of(page), b)
    page.keyboard.press("End")
    assert holds(canvas_of(page), a)
    assert place(page).startswith("frame 0 ")
    page.keyboard.press("[")
    assert page.get_attribute("#divider", "aria-valuenow") == "98"


def test_difference(page, file):
    """|X − Y| times the amplification, no more than white."""
    pictures = {letter: picture_of(file, f"{letter}0").astype(int) for letter in "ABR"}
    for pair, key in (("AB", None), ("AR", "d"), ("BR", "d")):
        if key:
            page.keyboard.press(key)
        for gain in (8, 16, 32, 1, 2, 4):
            change = abs(pictures[pair[0]] - pictures[pair[1]]) * gain
            assert holds(one_to_one(page, "6"), change.clip(max=255).astype(np.uint8))
            assert page.inner_text(".label") == f"|{pair[0]} − {pair[1]}| × {gain}"
            page.keyboard.press("g")
    assert status(page) == "Difference of B and R, 8 times"


def test_zoom_and_pan(page, file):
    """From 200% on each pixel is a square; what is under the pointer stays under it."""
    page.keyboard.press("3")
    page.keyboard.press("9")
    for percent in (200, 300, 400, 600, 800, 1200, 1600):
        page.keyboard.press("+")
        assert page.inner_text("#zoom") == f"{percent}%"
    shown = canvas_of(page)
    top, left = ((side + 1) // 2 % 16 for side in shown.shape[:2])  # half pixels are rounded up
    blocks = shown[top:, left:]
    rows, columns = blocks.shape[0] // 16, blocks.shape[1] // 16
    blocks = blocks[: rows * 16, : columns * 16].reshape(rows, 16, columns, 16, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    small = blocks[:, 0, :, 0]
    assert holds(picture_of(file, "A0"), small)
    page.keyboard.press("Shift+ArrowRight")
    moved = canvas_of(page)
    np.testing.assert_array_equal(moved[:, :-40], shown[:, 40:])
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 340, box["y"] + 200)
    page.mouse.up()
    np.testing.assert_array_equal(canvas_of(page), shown)
    page.mouse.wheel(0, 400)
    assert float(page.inner_text("#zoom")[:-1]) < 1600
    page.keyboard.press("0")
    assert page.get_attribute("#zoom-fit", "aria-pressed") == "true"
    assert page.inner_text("#zoom") == "1000%"


def test_magnifier(page, file):
    """The same pixels of all three, enlarged without smoothing, where the pointer or a key says."""
    page.keyboard.press("m")
    assert page.is_visible("#magnifier")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    caption = page.inner_text("#magnifier figcaption")
    assert caption == "A | B | R at x 49, y 31"
    large = canvas_of(page, "#magnifier canvas")
    assert large.shape == (144, 3 * 144 + 4, 3)
    for i, letter in enumerate("ABR"):
        part = picture_of(file, f"{letter}0")[19:43, 37:61]
        expected = part.repeat(6, 0).repeat(6, 1)
        np.testing.assert_array_equal(large[:, i * 146 : i * 146 + 144], expected)
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 - 201, box["y"] + box["height"] / 2 + 5)
    assert page.inner_text("#magnifier figcaption") == "A | B | R at x 27, y 32"
    page.keyboard.press("m")
    assert not page.is_visible("#magnifier")


def test_playing(page):
    """Frame after frame, and again from the beginning unless told not to."""
    page.evaluate(
        """() => {
            window.seen = [];
            const place = document.getElementById("place");
            const note = () => seen.push(Number(place.textContent.split(" ")[1]));
            new MutationObserver(note).observe(place, { childList: true });
        }"""
    )
    page.keyboard.press(" ")
    assert page.get_by_role("button", name="Pause").is_visible()
    page.wait_for_function("() => seen.length >= 12")
    page.keyboard.press(" ")
    seen = page.evaluate("seen")
    assert seen[:12] == [1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4]
    page.keyboard.press("Home")
    wait_for(page, 0)
    page.keyboard.press("l")
    page.keyboard.press(" ")
    page.get_by_role("button", name="Play", exact=True).wait_for()
    assert place(page).startswith("frame 7 ")
    for _ in range(3):
        page.keyboard.press("<")
    assert page.input_value("#speed") == "0.1"


IMPATIENT = """async ([keys, times]) => {
    const press = (key) =>
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    keys.forEach(press);
    for (let i = 0; i < times; i++) {
        await new Promise(requestAnimationFrame);
        press("["); // draws, whatever is being decoded
    }
}"""
"""Presses keys faster than pictures are decoded."""


def test_little_memory(browser, tmp_path):
    """Pictures that do not fit are decoded again; nothing is shown that was let go of."""
    clip = write_clip(tmp_path / "a.mkv", frames=12, size=(400, 300), draw=numbered, **LOSSLESS)
    compare_videos(clip, clip, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text.count("160 : 640") == 1
    small = text.replace("160 : 640", "4.0 : 4.0")
    small = re.sub(r"script-src '[^']*'", "script-src 'unsafe-inline'", small)
    (tmp_path / "page.html").write_text(small, "utf-8")
    with opened(browser, tmp_path / "page.html") as page:
        for key, frame in (("End", 11), ("PageUp", 1), ("ArrowLeft", 0), ("PageDown", 10)):
            page.keyboard.press(key)
            wait_for(page, frame)
            page.set_viewport_size({"width": 1300 + frame, "height": 800})
            assert holds(one_to_one(page, "3"), picture_of(tmp_path / "page.html", f"A{frame}"))
        for _ in range(10):
            page.keyboard.press("ArrowLeft")
        wait_for(page, 0)
        page.evaluate(IMPATIENT, [["End", "Home"], 20])
        assert place(page).startswith("frame 0 ")
        page.evaluate(IMPATIENT, [["ArrowRight"] * 5, 20])
        wait_for(page, 5)
        page.keyboard.press(" ")
        wait_for(page, 9)


def test_curves(page):
    """They follow the playhead, and a click into one goes to the frame."""
    names = page.locator(".curve h2").all_inner_texts()
    assert [name.split()[0] for name in names] == ["PSNR", "SSIM", "QP", "Bytes", "Types"]
    psnr = page.locator(".curve.psnr")
    before = psnr.locator(".values").inner_text()
    box = psnr.locator("svg").bounding_box()
    width = (box["width"] - 52) / FRAMES
    page.mouse.click(box["x"] + 52 + 5.5 * width, box["y"] + 40)
    wait_for(page, 5)
    assert psnr.locator(".values").inner_text() != before
    head = float(psnr.locator(".playhead").get_attribute("x1"))
    assert head == pytest.approx(52 + 5.5 * width, abs=0.5)
    assert "A from" in psnr.locator("svg").get_attribute("aria-label")
    assert page.locator("#summary tbody tr").count() == 3


def test_help(page):
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()
    assert place(page).startswith("frame 0 ")
    page.get_by_role("button", name="Keys and help").click()
    page.get_by_role("button", name="Close").click()
    assert not page.get_by_role("dialog").is_visible()


def test_keys_of_controls_stay_theirs(page):
    """A space on a button presses it, and does not play; arrows in a choice move the choice."""
    page.focus("#magnify")
    page.keyboard.press(" ")
    assert page.is_visible("#magnifier")
    assert page.get_by_role("button", name="Play", exact=True).is_visible()
    page.focus("#modes input")
    page.keyboard.press("ArrowRight")
    assert mode(page) == "side"
    assert place(page).startswith("frame 0 ")


def test_everything_is_reached_by_the_keyboard(page):
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
    needed = {"help-button", "canvas", "divider", "seek", "first", "back", "play", "forward"}
    needed |= {"last", "loop", "speed", "zoom-in", "zoom-out", "zoom-fit", "magnify"}
    assert needed <= set(reached)
    assert "divider" in reached
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input")].filter((each) =>
            !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length)
        ).map((each) => each.outerHTML)"""
    )
    assert unnamed == []


CONTRAST = """() => {
    const parse = (colour) => {
        const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
        return [r, g, b, a];
    };
    const light = ([r, g, b]) => {
        const linear = [r, g, b].map((each) => {
            const value = each / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const ground = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = parse(getComputedStyle(each).backgroundColor);
            if (colour[3] > 0.5) return colour;
        }
        return [255, 255, 255];
    };
    const poor = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        if (!own || !element.checkVisibility() || element.closest(".hidden, script, svg")) continue;
        const [one, two] = [parse(getComputedStyle(element).color), ground(element)].map(light);
        const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
        if (contrast < 4.5) poor.push([element.outerHTML.slice(0, 80), contrast]);
    }
    return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])
def test_it_fits_and_can_be_read(browser, file, size, scheme):
    """Nothing sticks out, what is touched is large enough, texts stand out from their ground."""
    phone = size[0] < 600
    options = {"color_scheme": scheme, "has_touch": phone, "is_mobile": phone}
    with opened(browser, file, size=size, **options) as page:
        page.keyboard.press("6")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        grounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (grounds == "rgb(15, 18, 22)") == (scheme == "dark")
        assert page.evaluate(CONTRAST) == []
        views = [each.bounding_box()["y"] for each in page.locator("#modes label").all()]
        assert len(set(views)) == 1  # in one line
        for target in page.locator("button:visible, select:visible, #modes label").all():
            box = target.bounding_box()
            assert min(box["width"], box["height"]) >= 40, target.inner_text()
            assert box["x"] >= 0 and box["x"] + box["width"] <= size[0]
        page.keyboard.press("1")
        box = page.locator("#divider").bounding_box()
        assert box["width"] >= 40
        canvas = page.locator("#canvas").bounding_box()
        assert canvas["height"] >= 200


def test_touch_drags_the_divider(browser, file):
    options = {"has_touch": True, "is_mobile": True}
    with opened(browser, file, size=(390, 844), **options) as page:
        box = page.locator("#divider").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        session = page.context.new_cdp_session(page)
        for kind, at in (("Start", x), ("Move", x - 50), ("Move", x - 90), ("End", None)):
            points = [] if at is None else [{"x": at, "y": y}]
            event = {"type": f"touch{kind}", "touchPoints": points}
            session.send("Input.dispatchTouchEvent", event)
        assert int(page.get_attribute("#divider", "aria-valuenow")) < 35


def test_reduced_motion_does_not_loop(browser, file):
    with opened(browser, file, reduced_motion="reduce") as page:
        assert page.get_attribute("#loop", "aria-pressed") == "false"


def test_two_equal_videos(browser, tmp_path):
    """Infinite PSNRs, a single frame, no reference: nothing breaks."""
    clip = write_clip(tmp_path / "a.mkv", frames=1, **LOSSLESS)
    compare_videos(clip, clip, tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html") as page:
        assert "A–B ∞" in page.locator(".curve.psnr .values").inner_text()
        assert page.locator("#modes label").count() == 5
        for key in ("5", "6", "ArrowRight", " ", "End", "m", "d", "g"):
            page.keyboard.press(key)
        assert place(page) == "frame 0 · 0:00.00"


def test_names_do_not_run(browser, tmp_path):
    evil = write_clip(tmp_path / "<img src=x onerror=alert(1)><script>alert(2)&.mp4", frames=2)
    target = tmp_path / "page.html"
    compare_videos(evil, evil, target)
    with opened(browser, target) as page:
        assert page.locator("#names span").first.inner_text() == evil.name
        assert page.title() == f"{evil.name} | {evil.name}"
        assert page.locator("img").count() == 0
