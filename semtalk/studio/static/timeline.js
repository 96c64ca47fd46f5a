// Psi over time with its threshold and what is above it, and the words below, which are clicked and changed.

const NARROWEST = 84, MARGIN = 12, TOP = 10, BOTTOM = 74, LANES = 3, LANE = 21;  // pixels a second, pixels
const ASKED = ["", "emphasised", "calm"];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class TimeLine {
  constructor(scene, seek, say) {
    Object.assign(this, { scene, seek, say });
    this.box = document.querySelector("#line");
    this.inside = document.querySelector("#inside");
    this.canvas = document.querySelector("#curve");
    this.holder = document.querySelector("#words");
    this.cursor = document.querySelector("#cursor");
    this.canvas.addEventListener("pointerdown", (event) => this.seek((event.offsetX - MARGIN) / this.pixels));
    this.layOut();
    addEventListener("resize", () => this.layOut());
  }

  x(seconds) { return MARGIN + seconds * this.pixels; }

  layOut() {
    const { seconds } = this.scene;
    this.pixels = Math.max(NARROWEST, (this.box.clientWidth - 2 * MARGIN) / seconds);
    const width = Math.ceil(seconds * this.pixels + 2 * MARGIN);
    this.inside.style.width = `${width}px`;
    this.drawCurve(width);
    this.placeWords();
  }

  drawCurve(width) {
    const { psi, sparse, beta, step, seconds, poses } = this.scene, scale = Math.min(devicePixelRatio || 1, 30000 / width);
    this.canvas.width = width * scale;
    this.canvas.height = (BOTTOM + 18) * scale;
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${BOTTOM + 18}px` });
    const pen = this.canvas.getContext("2d"), y = (value) => BOTTOM - value * (BOTTOM - TOP);
    pen.scale(scale, scale);
    pen.fillStyle = colour("--sparse");
    sparse.forEach((active, index) => {
      const [left, right] = [this.x(index * step), this.x(Math.min((index + 1) * step, seconds))];
      if (active) pen.fillRect(left, TOP, right - left + 0.5, BOTTOM - TOP);
    });
    pen.strokeStyle = colour("--rule");
    pen.strokeRect(MARGIN, TOP, seconds * this.pixels, BOTTOM - TOP);
    pen.setLineDash([4, 4]);
    pen.strokeStyle = colour("--faint");
    pen.beginPath();
    pen.moveTo(MARGIN, y(beta));
    pen.lineTo(this.x(seconds), y(beta));
    pen.stroke();
    pen.setLineDash([]);
    pen.strokeStyle = colour("--psi");
    pen.lineWidth = 2;
    pen.beginPath();
    psi.forEach((value, index) => pen.lineTo(this.x(Math.min((index + 0.5) * step, seconds)), y(value)));
    pen.stroke();
    pen.fillStyle = colour("--faint");
    pen.font = "11px system-ui, sans-serif";
    for (let second = 0; second <= seconds; second++) pen.fillText(`${second} s`, this.x(second) - (second ? 6 : 0), BOTTOM + 14);
    pen.fillStyle = colour("--ink");
    for (const at of poses) {
      pen.beginPath();
      for (const [dx, dy] of [[0, -6], [6, 0], [0, 6], [-6, 0]]) pen.lineTo(this.x(at) + dx, TOP + 6 + dy);
      pen.fill();
    }
  }

  placeWords() {
    this.holder.replaceChildren();
    const free = new Array(LANES).fill(-1);
    this.buttons = this.scene.words.map((word, index) => {
      const button = document.createElement("button");
      button.textContent = word.text;
      button.className = word.asked;
      button.title = `${word.start.toFixed(2)} to ${word.end.toFixed(2)} s`;
      this.holder.append(button);
      const left = this.x(word.start), lane = Math.max(0, free.findIndex((end) => end <= left));
      free[lane] = left + button.offsetWidth + 2;
      Object.assign(button.style, { left: `${left}px`, top: `${BOTTOM + 18 + lane * LANE}px` });
      button.addEventListener("click", () => this.cycle(index));
      button.addEventListener("dblclick", () => { this.cycle(index); this.change(index); });  // a third click is as before
      return button;
    });
  }

  cycle(index) {
    if (!this.scene.semantic) return;  // the run scores nothing
    const word = this.scene.words[index];
    word.asked = ASKED[(ASKED.indexOf(word.asked) + 1) % ASKED.length];
    this.buttons[index].classList.remove(...ASKED.slice(1));
    if (word.asked) this.buttons[index].classList.add(word.asked);
    this.say(this.asked());
  }

  // All words with their times: a word may be said more than once.
  asked() {
    const { words, seconds } = this.scene;
    const at = (word) => Math.max(word.start, Math.min((word.start + word.end) / 2, seconds - 0.02)).toFixed(2);
    const of = (what) => words.filter((word) => word.asked === what).map((word) => `${word.text}@${at(word)}`).join(", ");
    return { emphasise: of("emphasised"), calm: of("calm") };
  }

  change(index) {
    const button = this.buttons[index], word = this.scene.words[index], input = document.createElement("input");
    input.value = word.text;
    input.style.cssText = button.style.cssText;
    input.style.width = `${Math.max(70, button.offsetWidth + 20)}px`;
    this.holder.append(input);
    input.select();
    let done = false;
    const end = (kept) => {
      if (done) return;
      done = true;
      const text = input.value.trim();
      input.remove();
      if (!kept || !text || text === word.text) return;
      word.text = text;
      const lines = this.scene.words.map(({ text, start, end }) => `${start.toFixed(3)}-${end.toFixed(3)} ${text}`);
      this.say({ words: lines.join("\n"), ...this.asked() });
      this.placeWords();
    };
    input.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === "Escape") end(event.key === "Enter"); });
    input.addEventListener("blur", () => end(true));
  }

  show(seconds, playing) {
    const x = this.x(seconds);
    this.cursor.style.left = `${x}px`;
    this.scene.words.forEach((word, index) => this.buttons[index].classList.toggle("now", word.start <= seconds && seconds < word.end));
    const { scrollLeft, clientWidth } = this.box;
    if (playing && (x < scrollLeft || x > scrollLeft + 0.8 * clientWidth)) this.box.scrollLeft = x - 0.2 * clientWidth;
  }
}
