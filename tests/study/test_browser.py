"""The study in a real browser (chromium, by playwright), where both are there: a rater's whole session."""

import shutil

import made
import pytest
from made import served

from semtalk.study.store import Store

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")]


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def folder(tmp_path):
    """A study whose videos can be played: half a second of grey each."""
    import numpy as np

    from semtalk.viz.video import encode_silent

    folder = made.written(tmp_path / "study", made.plan(questions=("realism", "speech"), pages=4, checks=1))
    encode_silent((np.full((60, 80, 3), shade, np.uint8) for shade in range(90, 105)), tmp_path / "grey.mp4", (80, 60))
    for path in folder.rglob("*.mp4"):
        shutil.copy(tmp_path / "grey.mp4", path)
    return folder


def until(page, expression: str) -> None:
    """Wait for an expression to be true, without evaluating text in the page, which it forbids."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(expression)


def watch(page) -> None:
    """Play both videos to their ends, as a rater does."""
    for side in ("left", "right"):
        until(page, f"document.getElementById('{side}').readyState >= 2")
        page.evaluate(f"document.getElementById('{side}').play()")
        until(page, f"document.getElementById('{side}').ended")


def answer(page, value: str) -> None:
    page.click(f"#answers button[value={value}]")
    if value != "TheyAreEqual":
        page.check("#reasons input >> nth=0")


def test_a_rater_watches_answers_goes_back_pauses_and_finishes(browser, folder):
    errors = []
    with served(folder) as server:
        address = server.address
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: request.url.startswith((address, "data:")) or errors.append(request.url))
        page.goto(address)
        page.click("#begin")
        page.wait_for_selector("#answers button")
        (rater,) = (one.name for one in server.store.raters())
        pages = server.store.session(rater)["pages"]
        page.click("#answers button[value=LeftClearlyBetter]")
        page.check("#reasons input >> nth=0")
        assert page.is_disabled("#next"), "both videos must have been watched"
        watch(page)
        assert page.is_enabled("#next")
        page.uncheck("#reasons input >> nth=0")
        assert page.is_disabled("#next"), "a reason is needed"
        page.check("#reasons input >> nth=-1")
        assert page.is_disabled("#next"), "and words for another one"
        page.fill("#reasons textarea", "its <b>hands</b>")
        page.route("**/answer", lambda route: route.abort())
        page.evaluate("(scrollTo(0, 0), document.getElementById('next').click())")
        page.wait_for_selector("#said:has-text('cannot be reached now')")
        box = page.locator("#said").bounding_box()
        assert box["y"] + box["height"] <= 800, "what is wrong is seen without scrolling"
        page.unroute("**/answer")
        page.click("#next")
        page.wait_for_selector('#place:has-text("Page 2 of")')
        page.click("#back")
        page.wait_for_selector('#place:has-text("Page 1 of")')
        assert page.input_value("#reasons textarea") == "its <b>hands</b>" and page.is_enabled("#next")
        page.click("#answers button[value=TheyAreEqual]")
        page.click("#next")
        page.wait_for_selector('#place:has-text("Page 2 of")')
        assert page.is_disabled("#skip")
        page.wait_for_selector("#skip:enabled", timeout=15000)
        page.click("#skip")
        page.wait_for_selector('#place:has-text("Page 3 of")')
        assert "2 left" in page.text_content("#skip")
    context.close()
    with served(folder) as server:  # another day: another port, another browser, the personal link
        page = browser.new_page()
        page.goto(f"{server.address}?rater={rater}")
        for at in range(2, len(pages)):
            page.wait_for_selector(f'#place:has-text("Page {at + 1} of")')
            muted = page.evaluate("document.getElementById('left').muted")
            assert muted == (pages[at].question == "realism")
            watch(page)
            answer(page, pages[at].expected or "RightSlightlyBetter")
            page.click("#next")
        page.wait_for_selector("#end:not([hidden])")
        assert page.text_content("#code") == server.store.completion("finish")
    store = Store(folder, server.store.study)
    given = store.session(rater)["given"]
    assert [one["answer"] for one in given.values()][:2] == ["TheyAreEqual", "Skipped"] and not errors
    assert store.raters()[0].status == "finish" and store.raters()[0].failed == 0
