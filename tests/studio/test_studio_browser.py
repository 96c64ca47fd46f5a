# ruff: noqa: F811 (fixtures)
"""The studio in a real browser (chromium, by playwright), where both are there: from a voice to a download."""

import io
import os
import shutil
import threading
import zipfile
from pathlib import Path

import pytest
from voices import TEXT, engine, hour, served, talk  # noqa: F401

from semtalk.motion.io import load_motion

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytest.importorskip("gradio")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")]


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    software = ["--enable-unsafe-swiftshader", "--use-angle=swiftshader"]  # WebGL without a graphics card
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required", *software]
        )
        yield chromium
        chromium.close()


def value(page, name: str) -> str:
    return page.input_value(f"#{name} textarea, #{name} input")


def holds(page, name: str, text: str) -> None:
    """Wait until a box has a text in it: what the viewer says comes a moment later."""
    box = f"#{name} textarea, #{name} input"
    page.wait_for_function("([box, text]) => document.querySelector(box).value.includes(text)", arg=[box, text])


def generated(page) -> None:
    """Press the button and wait for the next take to be drawn."""
    before = page.get_attribute("#viewer", "src") if page.query_selector("#viewer") else ""
    page.click("#generate")
    page.wait_for_selector(f'#viewer:not([src="{before}"])', timeout=90_000)
    page.frame_locator("#viewer").locator("#play:enabled").wait_for(timeout=90_000)


def seen(page, *names: str) -> bool:
    """Whether what has some names is within the window, as it is scrolled."""
    boxes = [page.locator(f"#{name}").bounding_box() for name in names]
    return all(box and box["y"] >= 0 and box["y"] + box["height"] <= page.viewport_size["height"] for box in boxes)


def picture(viewer) -> bytes:
    """What the figure's canvas shows."""
    return viewer.locator("#scene").screenshot()


def downloaded(page, text: str) -> bytes:
    with page.expect_download() as waiting:
        page.locator("#links a", has_text=text).click()
    return Path(waiting.value.path()).read_bytes()


def test_upload_generate_play_emphasise_and_download(browser, engine, talk, tmp_path):
    errors = []
    with served(engine) as server:
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        own = (server.address, "data:", f"blob:{server.address}")
        page.on("request", lambda request: request.url.startswith(own) or errors.append(request.url))
        page.goto(server.address)
        page.set_input_files("#audio input[type=file]", talk)
        page.wait_for_selector("#status:has-text('4.0 s of sound')")
        page.fill("#words textarea", TEXT)
        assert seen(page, "status", "generate") and page.locator("button.primary:visible").count() == 1
        for name in ("line", "draw", "links", "emphasise", "stop"):
            assert not page.locator(f"#{name}").is_visible(), f"{name}: there is no motion yet"
        generated(page)
        assert seen(page, "status", "generate", "links", "draw") and "Take 1: 4.0 s" in page.inner_text("#status")
        viewer = page.frame_locator("#viewer")
        assert viewer.locator("#words button").all_text_contents() == TEXT.split()
        assert value(page, "words").endswith(" here") and "transcript=talk.json" in value(page, "line")

        still = picture(viewer)
        viewer.locator("#play").click()
        page.wait_for_function("document.querySelector('#viewer').contentDocument.body.dataset.frame > 30")
        heard = page.evaluate("document.querySelector('#viewer').contentDocument.querySelector('#voice').currentTime")
        frame = page.evaluate("Number(document.querySelector('#viewer').contentDocument.body.dataset.frame)")
        assert abs(frame - 30 * heard) <= 15, "the figure is where the sound is"
        viewer.locator("#play").click()
        assert picture(viewer) != still, "the figure moved"
        before = picture(viewer)
        box = viewer.locator("#figures").bounding_box()
        page.mouse.move(box["x"] + 300, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 500, box["y"] + 100)
        page.mouse.up()
        page.wait_for_timeout(300)
        assert picture(viewer) != before, "and is turned"
        viewer.locator("#curve").click(position={"x": 12 + 800 * 3 / 4, "y": 40})
        page.wait_for_function("document.querySelector('#viewer').contentDocument.body.dataset.frame > 80")

        plain = load_bytes(downloaded(page, "npz"), tmp_path)
        viewer.locator("#words button", has_text="whole").click()
        viewer.locator("#words button", has_text="walk").dblclick()  # and changed, with what is asked as it was
        viewer.locator("#words input").fill("talk")
        viewer.locator("#words input").press("Enter")
        viewer.locator("#words button", has_text="here").click()
        viewer.locator("#words button", has_text="here").click()
        holds(page, "emphasise", "whole@")
        holds(page, "calm", "here@")
        assert " talk\n" in value(page, "words")
        viewer.locator("#words button", has_text="talk").click()
        viewer.locator("#words button", has_text="talk").dblclick()
        viewer.locator("#words input").fill("walk")
        viewer.locator("#words input").press("Enter")
        page.wait_for_function("!document.querySelector('#words textarea').value.includes('talk')")
        page.wait_for_timeout(500)
        assert "walk@" in value(page, "emphasise"), "a word that is changed below the figure matters as it did"
        page.fill("#words textarea", value(page, "words").replace("walk", "talk"))
        page.wait_for_function(
            "!document.querySelector('#emphasise textarea, #emphasise input').value.includes('walk')"
        )
        holds(page, "emphasise", "whole@")
        holds(page, "calm", "here@")
        page.click("#beside input")
        page.locator("[role=option]", has_text="as it was").click()
        generated(page)
        assert viewer.locator("button.emphasised").all_text_contents() == ["whole"]
        assert viewer.locator("button.calm").all_text_contents() == ["here"]
        assert viewer.locator("#titles span").all_text_contents() == ["as it was", "generated"]
        edited = load_bytes(downloaded(page, "npz"), tmp_path)
        assert len(edited) == len(plain) == 120
        with zipfile.ZipFile(io.BytesIO(downloaded(page, "everything"))) as packed:
            assert {"talk/command.txt", "talk/talk.wav", "talk/made/talk.npz"} <= set(packed.namelist())
            assert packed.read("talk/command.txt").decode().strip() == value(page, "line")
        for kind, begin in (("bvh", b"HIERARCHY"), ("glb", b"glTF"), ("ARKit csv", b"Timecode")):
            assert downloaded(page, kind).startswith(begin)
        page.click("#draw")
        page.wait_for_selector("#film:has-text('the video')")
        assert seen(page, "halt", "film"), "how far it is"
        page.click("#halt")
        page.wait_for_selector("#film:has-text('Stopped.')", timeout=60_000)
        page.click("#draw")
        page.wait_for_selector("#video", timeout=180_000)
        page.wait_for_function("document.querySelector('#video').readyState >= 2")
        assert page.evaluate("document.querySelector('#video').duration") == pytest.approx(4.0, abs=0.2)
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        assert seen(page, "status", "generate", "line"), "and the status, below as above"
        page.evaluate("scrollTo(0, 0)")
        if folder := os.environ.get("SEMTALK_PICTURES"):
            page.screenshot(path=f"{folder}/browser.png")
        other = shutil.copyfile(talk, tmp_path / "other.wav")
        page.locator("#audio button[aria-label='Clear']").click()
        page.wait_for_selector(".empty")
        page.set_input_files("#audio input[type=file]", other)
        page.wait_for_selector("#status:has-text('4.0 s of sound')")
        assert not page.locator("#links").is_visible() and value(page, "words") == ""
        generated(page)
        assert viewer.locator(".how").inner_text() == "No words are known: the gestures follow the voice alone."
        assert value(page, "emphasise") == value(page, "calm") == "", "marks are gone with the voice"
        assert "audio=other.wav" in value(page, "line")
        sessions, gone = server.studio.root / "sessions", threading.Event()
        end = server.studio.end
        server.studio.end = lambda owner: (end(owner), gone.set())
        page.close()
        assert gone.wait(60) and not list(sessions.iterdir())
    assert not errors


def load_bytes(content: bytes, folder: Path):
    (folder / "got.npz").write_bytes(content)
    return load_motion(folder / "got.npz")


def test_samples_are_chosen_and_bad_uploads_are_told(browser, engine, talk, hour, tmp_path):
    with served(engine) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(server.address)
        bad = tmp_path / "bad.wav"
        for number in range(3):
            bad.write_bytes(b"no sound" * (number + 1))
            page.set_input_files("#audio input[type=file]", bad)
            page.wait_for_selector("#status .failed:has-text('bad.wav: not a readable sound file')", timeout=30_000)
            page.reload()
        page.set_input_files("#audio input[type=file]", hour)
        page.get_by_text("more than 20 s of sound").first.wait_for(timeout=60_000)
        page.reload()
        page.set_input_files("#audio input[type=file]", talk)
        page.wait_for_selector("#status:has-text('4.0 s of sound')")
        page.fill("#words textarea", TEXT)
        page.click("#samples input")
        page.locator("[role=option]", has_text="3").click()
        generated(page)
        page.fill("#emphasise textarea, #emphasise input", "nothing")
        page.click("#generate")
        page.get_by_text("talk has no such word").first.wait_for(timeout=60_000)
        page.wait_for_selector("#status .failed:has-text('Words that matter more: nothing: talk has no such word')")
        page.fill("#emphasise textarea, #emphasise input", "")
        generated(page)
        before = page.get_attribute("#viewer", "src")
        page.locator("#sample label", has_text="2").click()
        page.wait_for_selector(f'#viewer:not([src="{before}"])', timeout=30_000)
        page.frame_locator("#viewer").locator("#play:enabled").wait_for(timeout=60_000)
        assert page.get_attribute("#viewer", "src").endswith("/2/") and "/file/npz" in page.inner_html("#links")


def test_a_voice_may_be_called_as_a_video_is_whether_chosen_or_dropped(browser, engine, talk, tmp_path):
    """Its content says what it is."""
    with served(engine) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        for name in ("talk.webm", "talk.mp4"):
            shutil.copyfile(talk, tmp_path / name)
            page.goto(server.address)
            page.set_input_files("#audio input[type=file]", tmp_path / name)
            page.wait_for_selector("#status:has-text('4.0 s of sound')")
        page.goto(server.address)
        page.wait_for_selector("#audio button.center")
        content = list(talk.read_bytes())
        dropped = page.evaluate_handle(
            """(content) => {
                const dropped = new DataTransfer();
                dropped.items.add(new File([new Uint8Array(content)], "talk.webm", { type: "video/webm" }));
                return dropped;
            }""",
            content,
        )
        page.dispatch_event("#audio button.center", "drop", {"dataTransfer": dropped})
        page.wait_for_selector("#status:has-text('4.0 s of sound')")
        (tmp_path / "no.pdf").write_bytes(b"no sound")
        page.goto(server.address)
        page.set_input_files("#audio input[type=file]", tmp_path / "no.pdf")
        page.get_by_text("no.pdf: not a readable sound file").first.wait_for(timeout=30_000)
