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


def generated(page, button: str) -> None:
    """Press a button and wait for the next take to be drawn."""
    before = page.get_attribute("#viewer", "src") if page.query_selector("#viewer") else ""
    page.click(f"#{button}")
    page.wait_for_selector(f'#viewer:not([src="{before}"])', timeout=90_000)
    page.frame_locator("#viewer").locator("#play:enabled").wait_for(timeout=90_000)


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
        generated(page, "generate")
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
        assert value(page, "emphasise").startswith("whole@") and value(page, "calm").startswith("here@")
        assert " talk\n" in value(page, "words")
        page.click("#beside input")
        page.locator("[role=option]", has_text="as it was").click()
        generated(page, "apply")
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
        page.wait_for_selector("#video", timeout=180_000)
        page.wait_for_function("document.querySelector('#video').readyState >= 2")
        assert page.evaluate("document.querySelector('#video').duration") == pytest.approx(4.0, abs=0.2)
        if folder := os.environ.get("SEMTALK_PICTURES"):
            page.screenshot(path=f"{folder}/browser.png")
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
            page.get_by_text("bad.wav: not a readable sound file").first.wait_for(timeout=30_000)
            page.reload()
        page.set_input_files("#audio input[type=file]", hour)
        page.get_by_text("more than 20 s of sound").first.wait_for(timeout=60_000)
        page.reload()
        page.set_input_files("#audio input[type=file]", talk)
        page.wait_for_selector("#status:has-text('4.0 s of sound')")
        page.fill("#emphasise textarea, #emphasise input", "nothing")
        page.fill("#words textarea", TEXT)
        page.click("#generate")
        page.get_by_text("talk has no such word").first.wait_for(timeout=60_000)
        page.fill("#emphasise textarea, #emphasise input", "")
        page.click("#samples input")
        page.locator("[role=option]", has_text="3").click()
        generated(page, "generate")
        before = page.get_attribute("#viewer", "src")
        page.locator("#sample label", has_text="3").click()
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
