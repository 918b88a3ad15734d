"""The page in a headless Chromium: the system's own, driven by Playwright."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from sj_datasets import SpikeStream, simulate_image
from sz_models.viewer import ViewerServer
from sz_models.viewer.frames import Frames

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")

T, H, W = 81, 12, 16
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def starts(path: str) -> bool:
    """False for a file that only says where a browser can be had, as some systems have it."""
    return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0


@contextmanager
def serving(spikes: np.ndarray, name: str):
    with ViewerServer(Frames(SpikeStream.from_array(spikes), name)) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server():
    light = np.linspace(0, 255, H * W).reshape(H, W).astype(np.uint8)
    with serving(simulate_image(light, T, rng=0), "ramp.dat") as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    path = next(filter(starts, filter(None, map(shutil.which, BROWSERS))), None)
    if path is None:
        pytest.skip("no Chromium on PATH; install it, e.g. apt-get install chromium")
    # Chromium's sandbox does not work for root, nor in most containers.
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    options = ["--no-sandbox", "--disable-dev-shm-usage"] if as_root or os.getenv("CI") else []
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=options)
        yield running
        running.close()


def open_page(browser, server, locale="en-US"):
    """The page with its picture drawn; anything wrong in its scripts fails the test."""
    page = browser.new_context(locale=locale, accept_downloads=True).new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda line: page.faults.append(line.text) if line.type == "error" else 0)
    page.goto(server.address)
    drawn(page)
    return page


def drawn(page) -> None:
    page.wait_for_selector("body[data-state=ready]")
    assert page.faults == []


@pytest.fixture
def page(browser, server):
    opened = open_page(browser, server)
    yield opened
    assert opened.faults == []
    opened.context.close()


def levels(page, canvas: str) -> np.ndarray:
    """Grey levels ``[H, W]`` that a canvas shows."""
    script = """id => { const c = document.getElementById(id);
        return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data] }"""
    return np.array(page.evaluate(script, canvas), np.uint8).reshape(H, W, 4)[..., 0]


def expected(server, method: str, frame: int, window: int = 41) -> np.ndarray:
    from sz_models.viewer.frames import View

    rate = server.frames.info()["rate"]
    png = server.frames.png(View(method, window=window, rate=rate), frame)
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_page_opens_at_the_middle_frame(page, server):
    assert page.inner_text("#name") == "ramp.dat"
    assert page.input_value("#frame") == str(T // 2)
    assert np.array_equal(levels(page, "image"), expected(server, "tfp", T // 2))
    assert set(np.unique(levels(page, "spikes"))) <= {0, 255}


def test_keys_slider_and_buttons_scrub(page, server):
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    drawn(page)
    assert page.input_value("#frame") == "51"
    assert np.array_equal(levels(page, "image"), expected(server, "tfp", 51))
    page.keyboard.press("Home")
    assert page.input_value("#frame") == "20"
    page.keyboard.press("End")
    assert page.input_value("#frame") == "60"
    page.click("#back")
    assert page.input_value("#time") == "59"
    page.fill("#time", "30")
    drawn(page)
    assert page.input_value("#frame") == "30"


def test_method_and_window_change_the_picture(page, server):
    page.select_option("#method", "tfi")
    page.fill("#window", "21")
    page.press("#window", "Tab")
    drawn(page)
    assert np.array_equal(levels(page, "image"), expected(server, "tfi", T // 2, 21))
    assert page.get_attribute("#time", "min") == "10"
    page.select_option("#method", "gtfp")
    drawn(page)
    assert page.is_visible("#sigma")
    assert page.is_hidden("#window")


def test_wrong_values_are_told_in_the_page(page, server):
    for field, wrong, good in (
        ("window", "42", "41"),
        ("window", "999", "41"),
        ("bright", "", "1"),
    ):
        page.fill(f"#{field}", wrong)
        page.press(f"#{field}", "Tab")
        told = page.inner_text("#status.bad")
        assert told.split(":")[0] == page.inner_text(f"#{field}-row").strip()
        assert len(told.split(":")[1]) > 5
        assert np.array_equal(levels(page, "image"), expected(server, "tfp", T // 2))
        page.fill(f"#{field}", good)
        page.press(f"#{field}", "Tab")
        drawn(page)
        assert page.inner_text("#status") == ""
        page.click("#auto")
        drawn(page)
    page.fill("#window", "42")
    page.press("#window", "Tab")
    page.keyboard.press("Escape")
    page.click("#spikes")
    drawn(page)
    assert page.inner_text("#status.bad").startswith("Window")
    page.fill("#window", "41")
    page.fill("#from", "50")
    page.fill("#to", "10")
    page.click("#mp4")
    assert page.inner_text("#status.bad").startswith("To: ")


def test_a_viewer_that_ended_is_told_in_the_page(page):
    page.route("**/api/**", lambda route: route.abort())
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#status.bad")
    assert "does not answer" in page.inner_text("#status")
    page.unroute("**/api/**")
    page.faults.clear()
    page.keyboard.press("ArrowRight")
    drawn(page)
    assert page.inner_text("#status") == ""


def test_arrows_scrub_after_a_button_was_used(page):
    page.click("#forth")
    page.keyboard.press("ArrowRight")
    drawn(page)
    assert page.input_value("#frame") == str(T // 2 + 2)
    page.keyboard.press("Space")
    drawn(page)
    assert page.input_value("#frame") == str(T // 2 + 3)


def test_spikes_have_no_brightness(page):
    page.select_option("#method", "spikes")
    drawn(page)
    assert page.is_hidden("#bright")
    assert page.is_hidden("#auto")
    assert np.array_equal(levels(page, "image"), levels(page, "spikes"))


@pytest.mark.parametrize("width", [320, 400, 1280, 2560])
def test_the_page_fits_any_width(page, width):
    page.set_viewport_size({"width": width, "height": 700})
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_single_tall_frame_is_shown_whole(browser):
    with serving(np.ones((1, 80, 8), np.uint8), "tall.dat") as running:
        page = open_page(browser, running)
        box = page.locator("#image").bounding_box()
        assert box["height"] < page.viewport_size["height"]
        enabled = (
            "[...document.getElementById('method')].filter(o => !o.disabled).map(o => o.value)"
        )
        assert page.evaluate(enabled) == ["spikes", "tfp", "gtfp"]
        page.context.close()


def test_a_click_follows_the_pixel(page):
    box = page.locator("#image").bounding_box()
    cell = box["width"] / W
    page.mouse.click(box["x"] + 3.5 * cell, box["y"] + 2.5 * cell)
    drawn(page)
    assert (page.input_value("#x"), page.input_value("#y")) == ("3", "2")
    assert "spikes/frame" in page.inner_text("#rate")
    assert page.locator(".mark").first.is_visible()


def test_it_plays_and_stops(page):
    page.click("#play")
    before = page.inner_text("#image-note")
    page.wait_for_selector(f"#image-note:not(:text-is('{before}'))")
    page.click("#play")
    assert int(page.input_value("#frame")) > 40
    assert page.get_attribute("#play", "aria-pressed") == "false"


def test_pictures_and_videos_are_saved(page, server, tmp_path):
    with page.expect_download() as download:
        page.click("#png")
    assert download.value.suggested_filename == "tfp_40.png"
    download.value.save_as(tmp_path / "a.png")
    saved = np.asarray(Image.open(tmp_path / "a.png"))
    assert np.array_equal(saved, expected(server, "tfp", 40))
    if not server.frames.info()["video"]:
        return
    page.fill("#from", "20")
    page.fill("#to", "30")
    with page.expect_download() as download:
        page.click("#mp4")
    assert download.value.suggested_filename == "tfp_20-30.mp4"


def test_two_tabs_do_not_disturb_each_other(browser, server, page):
    other = open_page(browser, server)
    other.keyboard.press("Home")
    drawn(other)
    assert (other.input_value("#frame"), page.input_value("#frame")) == ("20", "40")
    other.context.close()


def test_the_page_speaks_chinese(browser, server):
    page = open_page(browser, server, "zh-CN")
    assert page.get_attribute("html", "lang") == "zh-CN"
    assert page.inner_text("#auto") == "适应亮度"
    page.context.close()


def test_every_text_exists_in_both_languages(page):
    english, chinese = (page.evaluate(f"Object.keys(TEXTS.{code})") for code in ("en", "zh"))
    assert english == chinese
    used = page.evaluate("[...document.querySelectorAll('[data-text]')].map(e => e.dataset.text)")
    assert set(used) <= set(english)


def test_every_control_has_a_name(page):
    nameless = page.evaluate(
        """[...document.querySelectorAll("input, select, button, canvas, a")]
            .filter(e => !e.getAttribute("aria-label") && !(e.labels && e.labels.length)
                && !e.textContent.trim()).map(e => e.id)"""
    )
    assert nameless == []
