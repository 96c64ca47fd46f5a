// Plays the figures and the time line in step with the sound, whose clock is the only one.

import { Stage, readGlb } from "./figure.js";
import { TimeLine } from "./timeline.js";

const FPS = 30;
const find = (id) => document.querySelector(`#${id}`);
const [voice, play, seek, said] = ["voice", "play", "seek", "said"].map(find);

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || `${answer.status}`);
  return answer;
}

async function begin() {
  const place = location.hash.slice(1);
  if (!/^\/made\/[\w-]+\/\d+\/\d+\/$/.test(place)) throw new Error("there is no motion yet");
  const scene = await (await fetched(`${place}scene.json`)).json();
  const say = (what) => parent.postMessage(what, location.origin);
  const line = new TimeLine(scene, (seconds) => go(seconds), say);
  voice.src = `${place}file/wav`;
  const go = (seconds) => { voice.currentTime = Math.min(Math.max(seconds, 0), scene.seconds); };
  seek.max = scene.seconds;
  seek.addEventListener("input", () => go(Number(seek.value)));
  play.addEventListener("click", () => (voice.paused ? voice.play() : voice.pause()));
  addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.tagName === "INPUT" || event.target.tagName === "BUTTON") return;
    event.preventDefault();
    play.click();
  });
  const how = document.querySelector(".how");
  how.hidden = !scene.semantic;
  if (!scene.words.length) how.textContent = "No words are known: the gestures follow the voice alone.";
  const stage = new Stage(find("figures"));
  find("front").addEventListener("click", () => stage.front());
  const titles = scene.titles.map((title) => {
    const label = document.createElement("span");
    label.textContent = scene.titles.length > 1 ? title : "";
    find("titles").append(label);
    return label;
  });
  for (const index of scene.titles.keys()) {
    stage.add(readGlb(await (await fetched(`${place}figure/${index}`)).arrayBuffer()));
  }
  said.textContent = "";
  play.disabled = false;
  let shown = "";
  const frame = () => {
    requestAnimationFrame(frame);
    const seconds = voice.currentTime, playing = !voice.paused && !voice.ended;
    const { canvas, yaw, pitch, zoom } = stage;
    const now = [seconds, playing, yaw, pitch, zoom, canvas.clientWidth, canvas.clientHeight].join();
    if (now === shown) return;
    shown = now;
    stage.draw(seconds * FPS);
    titles.forEach((label, index) => { label.style.left = `${100 * stage.places[index]}%`; });
    play.textContent = playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", playing ? "Pause" : "Play");
    find("clock").textContent = `${seconds.toFixed(1)} / ${scene.seconds.toFixed(1)} s`;
    seek.value = seconds;
    const score = scene.psi[Math.min(Math.floor(seconds / scene.step), scene.psi.length - 1)];
    find("score").textContent = `psi ${score.toFixed(2)}`;
    line.show(seconds, playing);
    document.body.dataset.frame = Math.round(seconds * FPS);
  };
  frame();
}

begin().catch((error) => { said.textContent = `The figure cannot be shown: ${error.message}.`; });
