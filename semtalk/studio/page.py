"""The page of the studio: Gradio's controls around the viewer."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from semtalk.generation.inputs import TRANSCRIPT_SUFFIXES
from semtalk.studio.boxes import BOXES
from semtalk.studio.handlers import EMPTY, Page, answered

if TYPE_CHECKING:
    from semtalk.studio.server import Studio

STATIC = Path(__file__).with_name("static")
FONT = ["system-ui", "-apple-system", "Segoe UI", "Noto Sans", "DejaVu Sans", "sans-serif"]
MOST_SAMPLES = 8
HIDDEN = {"show_progress": "hidden"}
"""What Gradio tells of waiting and working; the status says it."""
WORK = {"concurrency_limit": None, **HIDDEN}
"""Of what uses the networks or draws, which has its own :class:`~semtalk.studio.turns.Turns`."""
CHOICES = {
    "nothing": "nothing", "unedited": "the same as it was", "base": "the base motion alone",
    "run": "the other run", "file": "a motion file (npz)",
}  # fmt: skip


def theme() -> gr.themes.Base:
    """Colours of wood and paper, and the fonts of the machine: none is fetched."""
    ink, wood, paper = "#2b2622", "#b3541e", "#faf8f4"
    return gr.themes.Base(
        primary_hue="orange", secondary_hue="stone", neutral_hue="stone", font=FONT, font_mono=["monospace"],
        spacing_size="sm", text_size="sm", radius_size="sm",
    ).set(
        body_background_fill=paper, body_text_color=ink, block_background_fill="white", block_border_width="1px",
        block_label_background_fill="white", block_label_text_color=ink, block_title_text_color=ink,
        block_title_text_weight="500", block_shadow="none", button_primary_background_fill=wood,
        button_primary_background_fill_hover="#8f4317", button_primary_text_color="white", slider_color=wood,
        checkbox_background_color_selected=wood, checkbox_border_color_selected=wood,
        button_primary_border_color=wood, input_background_fill="white", input_border_width="1px",
        button_secondary_background_fill="white", button_secondary_border_color="#ddd6cc", button_border_width="1px",
    )  # fmt: skip


def head() -> str:
    """What connects the viewer to the boxes."""
    return f"<script>{(STATIC / 'page.js').read_text('utf-8')}</script>"


def build(studio: "Studio") -> gr.Blocks:
    """The page."""
    page, engine = Page(studio), studio.engine
    temperature = engine.temperature
    speakers = [(str(one), one) for one in engine.model.speakers]
    beside = [one for one in CHOICES if (one != "run" or engine.other) and (one != "base" or engine.semantic)]
    more = "Temperature, seed, poses, scores" if temperature is not None else "Seed, poses, scores"
    small = {"size": "sm", "min_width": 80}
    npz = {"file_types": [".npz"], "height": 90}
    with gr.Blocks(title="SemTalk studio", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(f'<div id="title"><b>SemTalk</b> studio <span>{escape(Path(engine.ckpt).name)}</span></div>')
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=320):
                audio = gr.Audio(
                    label="Voice", type="filepath", sources=["upload", "microphone"], buttons=[], elem_id="audio"
                )
                words = gr.Textbox(
                    label=BOXES["words"], lines=4, max_lines=5, elem_id="words",
                    placeholder="What is said; or a word a line with its seconds: 0.42-0.71 hello",
                )  # fmt: skip
                with gr.Row():
                    hear = gr.Button("Hear the words", visible=engine.hears() is None, elem_id="hear", **small)
                    kinds = list(TRANSCRIPT_SUFFIXES)
                    transcript = gr.UploadButton("Transcript file", file_types=kinds, elem_id="transcript", **small)
                with gr.Row():
                    chosen = {"value": speakers[0][1], "min_width": 90, "elem_id": "speaker"}
                    speaker = gr.Dropdown(speakers, label=BOXES["speaker"], **chosen)
                    counts = list(range(1, MOST_SAMPLES + 1))
                    samples = gr.Dropdown(counts, value=1, label=BOXES["samples"], min_width=90, elem_id="samples")
                beta = gr.Slider(
                    0, 1, engine.base.beta, step=0.01, label=BOXES["beta"], visible=engine.semantic, elem_id="beta"
                )
                side = gr.Dropdown(
                    [(CHOICES[one], one) for one in beside], value="nothing", label=BOXES["beside"], elem_id="beside"
                )
                truth = gr.File(label="Motion file that stands beside", visible=False, elem_id="truth", **npz)
                with gr.Accordion(more, open=False):
                    heat = gr.Slider(
                        0.05, 2, temperature, step=0.05, label=BOXES["temperature"], visible=temperature is not None
                    )
                    seed = gr.Number(engine.base.seed, label=BOXES["seed"], precision=0, elem_id="seed")
                    poses = gr.File(label=BOXES["poses"], file_count="multiple", elem_id="poses", **npz)
                    pose_times = gr.Textbox(label=BOXES["pose_times"], placeholder="1.5, 4", elem_id="pose_times")
                    psi = gr.File(label=BOXES["psi"], file_types=[".csv", ".npy"], height=90, elem_id="psi")
                with gr.Column(elem_id="go"):
                    status = gr.HTML("", elem_id="status")
                    go = gr.Button("Generate", variant="primary", elem_id="generate")
                    stop = gr.Button("Stop", visible=False, elem_id="stop")
            with gr.Column(scale=11, min_width=600):
                stage = gr.HTML(EMPTY, elem_id="stage")
                with gr.Column(visible=False) as result:
                    shown = gr.Radio(["0"], value="0", container=False, visible=False, elem_id="sample")
                    with gr.Row(visible=engine.semantic, elem_id="matters"):
                        click = {"placeholder": "click a word", "min_width": 100, "elem_id": "emphasise"}
                        emphasise = gr.Textbox(label=BOXES["emphasise"], **click)
                        twice = {"placeholder": "click it again", "min_width": 100, "elem_id": "calm"}
                        calm = gr.Textbox(label=BOXES["calm"], **twice)
                    with gr.Row(elem_id="downloads"):
                        links = gr.HTML("", elem_id="links")
                        draw = gr.Button("Draw the video", elem_id="draw", **small)
                        halt = gr.Button("Stop drawing", visible=False, elem_id="halt", **small)
                    film = gr.HTML("", elem_id="film")
                    line = gr.Textbox(
                        label="The same from the command line, in the unpacked folder of everything (zip)", lines=1,
                        max_lines=3, interactive=False, buttons=["copy"], elem_id="line",
                    )  # fmt: skip
        number = gr.State(None)

        asked = [
            audio, words, speaker, beta, samples, heat, seed, emphasise, calm, psi, poses, pose_times, side, truth,
        ]  # fmt: skip
        made = [stage, result, links, words, shown, line, number, film, go, stop, status]
        anew = [stage, result, number, words, emphasise, calm, film, status]
        go.click(page.generate, asked, made, api_name="generate", **WORK)
        audio.change(page.sound, [audio, words], anew, api_name="sound", **HIDDEN)
        transcript.upload(page.transcript, [audio, transcript], [words, status], api_name="transcript", **HIDDEN)
        hear.click(page.heard, [audio], [words, hear, status], api_name="hear", **WORK)
        marks = [emphasise, calm]
        words.change(answered(page.said), [words, *marks], marks, api_name="said", **HIDDEN)
        shown.input(answered(page.sample), [number, shown], [stage, links, film], api_name="sample", **HIDDEN)
        draw.click(page.video, [number, shown], [draw, halt, film], api_name="video", **WORK)
        files = [poses, psi, truth]
        gr.on([one.upload for one in files], page.given, files, [], api_name="given", **HIDDEN)
        stop.click(answered(page.stop), [], [status], api_name="stop", **WORK)
        halt.click(answered(page.halt), [], [film], api_name="halt", **WORK)
        side.change(lambda one: gr.File(visible=one == "file"), [side], [truth], api_name="beside", **HIDDEN)
        blocks.unload(page.gone)
    return blocks
