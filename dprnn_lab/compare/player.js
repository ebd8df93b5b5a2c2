// <dprnn-player>: its sounds side by side under one play head, one of them heard. Needs engine.js.
(() => {
if (customElements.get("dprnn-player")) return;
const { Sounds, element, decibels, signed, STYLE } = window.dprnnSound;

const WINDOW_SECONDS = 0.032;
const LEVELS_DB = 60;
const MOST_FRAMES = 3000;
const HEIGHT = { spectrogram: 96, wave: 36 };
const DRAG_PIXELS = 5;
const SHORTEST_LOOP = 0.05;
const MAGMA = ["#000004", "#1d1147", "#51127c", "#832681", "#b73779", "#e75263", "#fc8961", "#fec488", "#fcfdbf"];
// 256 levels as the pixels of an image: alpha, blue, green, red from the highest byte down.
const COLOURS = Uint32Array.from({ length: 256 }, (_, i) => {
  const place = i / 255 * (MAGMA.length - 1), low = Math.min(Math.floor(place), MAGMA.length - 2);
  const channel = (colour, k) => parseInt(colour.slice(1 + 2 * k, 3 + 2 * k), 16);
  const mixed = k => channel(MAGMA[low], k) + (place - low) * (channel(MAGMA[low + 1], k) - channel(MAGMA[low], k));
  return 0xff000000 + 65536 * Math.round(mixed(2)) + 256 * Math.round(mixed(1)) + Math.round(mixed(0));
});

// In place, radix 2: `re` and `im` of a length that is a power of two.
function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) { [re[i], re[j]] = [re[j], re[i]]; [im[i], im[j]] = [im[j], im[i]]; }
  }
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k++) {
      const c = Math.cos(2 * Math.PI * k / size), s = -Math.sin(2 * Math.PI * k / size);
      for (let i = k; i < n; i += size) {
        const x = re[i + half] * c - im[i + half] * s, y = re[i + half] * s + im[i + half] * c;
        re[i + half] = re[i] - x; im[i + half] = im[i] - y;
        re[i] += x; im[i] += y;
      }
    }
  }
}

// Power in dB over Hann windows of 32 ms, 8 ms apart: as dprnn_lab.plots.spectrogram_db has it.
function spectrogram(track, rate, length) {
  const width = Math.max(4, Math.floor(WINDOW_SECONDS * rate)), hop = Math.max(width >> 2, Math.ceil(length / MOST_FRAMES));
  const size = 2 ** Math.ceil(Math.log2(width)), bins = (size >> 1) + 1, frames = 1 + Math.floor(length / hop);
  const levels = new Float32Array(frames * bins), re = new Float64Array(size), im = new Float64Array(size);
  const shape = Float64Array.from({ length: width }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / width));
  let top = -100;
  for (let frame = 0; frame < frames; frame++) {
    re.fill(0);
    im.fill(0);
    for (let i = 0; i < width; i++) re[i] = shape[i] * track.scale * (track.stored[frame * hop + i - (width >> 1)] || 0);
    fft(re, im);
    for (let bin = 0; bin < bins; bin++) {
      const level = decibels(Math.max(1e-5, Math.hypot(re[bin], im[bin])));
      levels[frame * bins + bin] = level;
      if (level > top) top = level;
    }
  }
  return { levels, bins, frames, top };
}

function painted({ levels, bins, frames }, top) {
  const canvas = element("canvas", { width: frames, height: bins }), pen = canvas.getContext("2d");
  const image = pen.createImageData(frames, bins), pixels = new Uint32Array(image.data.buffer);
  for (let frame = 0; frame < frames; frame++) {
    for (let bin = 0; bin < bins; bin++) {
      const share = (levels[frame * bins + bin] - top + LEVELS_DB) / LEVELS_DB;
      pixels[(bins - 1 - bin) * frames + frame] = COLOURS[Math.round(255 * Math.min(1, Math.max(0, share)))];
    }
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}

function drawWave(pen, track, length, width, height) {
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = "#1f77b4";
  const step = length / width;
  for (let x = 0; x < width; x++) {
    let low = 0, high = 0;
    for (let i = Math.floor(x * step); i < (x + 1) * step; i++) {
      const sample = track.scale * (track.stored[i] || 0);
      if (sample < low) low = sample;
      if (sample > high) high = sample;
    }
    const middle = height / 2, half = middle / Math.max(1, track.scale);
    pen.fillRect(x, middle - half * high, 1, Math.max(1, half * (high - low)));
  }
}

class Player extends Sounds {
  previous = 0;

  render(root) {
    this.wave = this.getAttribute("view") === "wave";
    const button = (name, title, act) => {
      const made = element("button", { type: "button", title }, name);
      made.addEventListener("click", act);
      return made;
    };
    this.playButton = button("▶ Play", "space", () => this.toggle());
    this.loopButton = button("Loop", "L: repeat the whole, or the part that you drag over", () => this.setLoop(!this.looping));
    this.matchButton = button("Match levels", "M: equal RMS over the active parts", () => this.setMatched(!this.matched));
    this.clearButton = button("Whole sound", "Escape: drop the selected part", () => this.setLoop(false, null));
    this.slider = element("input", { type: "range", min: 0, max: this.duration, step: "any", "aria-label": "Position in seconds" });
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    this.time = element("output");
    const bar = element("div", { class: "bar" }, this.playButton, this.loopButton, this.matchButton, this.clearButton, this.slider, this.time);
    const columns = Math.max(1, Number(this.getAttribute("columns")) || 1);
    this.group = element("div", { class: "grid", role: "radiogroup", "aria-label": "Which sound is heard" });
    this.group.style.setProperty("--columns", columns);
    this.tracks.forEach((track, index) => this.group.append(this.panel(track, index)));
    for (const silent of this.querySelectorAll("[data-unplayable]")) {
      this.group.append(element("div", { class: "panel" }, element("b", {}, silent.dataset.unplayable), element("div", {}, silent.lastElementChild.textContent)));
    }
    this.note = element("small", { class: "note", "aria-live": "polite" });
    const scale = element("small", { class: "scale" }, "−60 dB", element("i", { "aria-hidden": "true" }), "0 dB: the loudest point of all");
    const keys = element("details", {}, element("summary", {}, "Keys"), element("small", {}));
    keys.lastChild.innerHTML = "<kbd>space</kbd> play, pause · <kbd>1</kbd> … <kbd>9</kbd>, <kbd>↑</kbd> <kbd>↓</kbd> switch · " +
      "<kbd>B</kbd> back to the one before · <kbd>←</kbd> <kbd>→</kbd> seek 0.25 s (with shift 1 s) · <kbd>Home</kbd> start · <kbd>L</kbd> loop · " +
      "<kbd>[</kbd> <kbd>]</kbd> loop from here, to here · <kbd>Esc</kbd> no selection · <kbd>M</kbd> match levels. " +
      "Click in a picture to go there, drag to select a part to loop.";
    root.append(element("style", { textContent: STYLE + STYLE_OF_PLAYER }), bar, this.group,
      element("div", { class: "foot" }, ...(this.wave || !this.tracks.length ? [] : [scale]), this.note, keys));
    if (!this.tracks.length) bar.hidden = true;
    if (!this.wave) {
      const pictures = this.tracks.map(track => spectrogram(track, this.rate, this.length));
      const top = pictures.reduce((most, picture) => Math.max(most, picture.top), -100);
      this.tracks.forEach((track, index) => { track.picture = painted(pictures[index], top); });
    }
    new ResizeObserver(() => this.paint()).observe(this.group);
  }

  panel(track, index) {
    track.level = element("span", { class: "level" });
    track.button = element("button", { type: "button", role: "radio" }, element("b", {}, `${index + 1}`), ` ${track.name} `, track.level);
    track.button.addEventListener("click", () => this.choose(index));
    track.canvas = element("canvas", { role: "img", "aria-label": `${this.wave ? "Waveform" : "Spectrogram"}: ${track.name}` });
    track.part = element("div", { class: "part", hidden: true });
    track.head = element("div", { class: "head" });
    const view = element("div", { class: "view" }, track.canvas, track.part, track.head);
    view.style.height = `${HEIGHT[this.wave ? "wave" : "spectrogram"]}px`;
    if (!this.wave) view.append(element("span", { class: "hz" }, `${+(this.rate / 2000).toFixed(1)} kHz`));
    this.takePointer(view);
    return element("div", { class: "panel" }, track.button, view, this.ticks());
  }

  ticks() {
    const steps = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600];
    const step = steps.find(seconds => this.duration / seconds <= 5) || this.duration;
    const row = element("div", { class: "ticks", "aria-hidden": "true" });
    for (let t = 0; t <= this.duration * 0.97; t += step) {
      const tick = element("span", {}, `${+t.toFixed(2)}${t ? "" : " s"}`);
      tick.style.left = `${100 * t / this.duration}%`;
      row.append(tick);
    }
    return row;
  }

  // A click seeks, a drag selects the part to loop.
  takePointer(view) {
    let from = null, dragged = false;
    const seconds = event => {
      const box = view.getBoundingClientRect();
      return this.duration * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    };
    view.addEventListener("pointerdown", event => {
      if (event.button) return;
      view.setPointerCapture(event.pointerId);
      from = { x: event.clientX, at: seconds(event) };
      dragged = false;
    });
    view.addEventListener("pointermove", event => {
      if (!from || (!dragged && Math.abs(event.clientX - from.x) < DRAG_PIXELS)) return;
      dragged = true;
      this.showPart([from.at, seconds(event)].sort((a, b) => a - b));
    });
    view.addEventListener("pointerup", event => {
      if (!from) return;
      const part = [from.at, seconds(event)].sort((a, b) => a - b);
      if (dragged && part[1] - part[0] >= SHORTEST_LOOP) this.select(part); else this.seek(from.at);
      from = null;
      this.showPart(this.selection);
      this.focusTrack();
    });
    view.addEventListener("pointercancel", () => { from = null; this.showPart(this.selection); });
  }

  select(part) {
    if (!this.playing) this.start = part[0];
    this.setLoop(true, part);
  }

  moreKeys() {
    const count = this.tracks.length, digits = {};
    this.tracks.slice(0, 9).forEach((_, index) => { digits[index + 1] = () => this.choose(index); });
    const edge = (from, to) => { if (to - from >= SHORTEST_LOOP) this.setLoop(true, [from, to]); };
    return {
      ...digits,
      ArrowUp: () => this.choose((this.active + count - 1) % count),
      ArrowDown: () => this.choose((this.active + 1) % count),
      b: () => this.choose(this.previous),
      m: () => this.setMatched(!this.matched),
      "[": () => edge(this.position, this.selection ? Math.max(this.selection[1], this.position) : this.duration),
      "]": () => edge(this.selection ? Math.min(this.selection[0], this.position) : 0, this.position),
      Escape: () => this.setLoop(false, null),
    };
  }

  choose(index) {
    const before = this.active, focused = this.shadowRoot.activeElement?.getAttribute("role") === "radio";
    super.choose(index);
    if (this.active !== before) this.previous = before;
    if (focused) this.focusTrack();
  }

  focusTrack() { this.tracks[this.active]?.button.focus({ preventScroll: true }); }

  showPart(part) {
    for (const track of this.tracks) {
      track.part.hidden = !part;
      if (!part) continue;
      track.part.style.left = `${100 * part[0] / this.duration}%`;
      track.part.style.width = `${100 * (part[1] - part[0]) / this.duration}%`;
    }
  }

  refresh() {
    this.playButton.textContent = this.playing ? "❚❚ Pause" : "▶ Play";
    this.loopButton.setAttribute("aria-pressed", this.looping);
    this.matchButton.setAttribute("aria-pressed", this.matched);
    this.clearButton.hidden = !this.selection;
    const gains = this.gains();
    this.tracks.forEach((track, index) => {
      const chosen = index === this.active;
      track.button.setAttribute("aria-checked", chosen);
      track.button.tabIndex = chosen ? 0 : -1;
      track.button.closest(".panel").classList.toggle("chosen", chosen);
      const change = decibels(gains[index] / track.scale);
      if (track.rms < 1e-4) track.level.textContent = track.peak ? "below −80 dB" : "silent";
      else track.level.textContent = this.matched ? signed(change) : `RMS ${decibels(track.rms).toFixed(0).replace("-", "−")} dB`;
    });
    const over = this.tracks.reduce((most, track) => Math.max(most, track.scale), 1);
    this.note.textContent = this.matched ? "Levels are matched: equal RMS over the active parts (within 40 dB of the loudest 20 ms)."
      : over > 1 ? `All are played ${decibels(over).toFixed(1)} dB down: one of them exceeds full scale.` : "Levels as they are.";
    this.showPart(this.selection);
    this.moved(this.position);
  }

  moved(seconds) {
    const share = Math.min(1, seconds / this.duration);
    for (const track of this.tracks) track.head.style.left = `${100 * share}%`;
    this.slider.value = seconds;
    this.slider.setAttribute("aria-valuetext", `${seconds.toFixed(1)} of ${this.duration.toFixed(1)} seconds`);
    this.time.textContent = `${seconds.toFixed(2)} / ${this.duration.toFixed(2)} s`;
  }

  paint() {
    for (const track of this.tracks) {
      const { width, height } = track.canvas.getBoundingClientRect();
      if (!width) continue;
      const dots = Math.min(2, window.devicePixelRatio || 1);
      track.canvas.width = Math.round(width * dots);
      track.canvas.height = Math.round(height * dots);
      const pen = track.canvas.getContext("2d");
      if (this.wave) drawWave(pen, track, this.length, track.canvas.width, track.canvas.height);
      else pen.drawImage(track.picture, 0, 0, track.canvas.width, track.canvas.height);
    }
  }
}

const STYLE_OF_PLAYER = `
.grid{display:grid;gap:8px 10px;grid-template-columns:repeat(var(--columns),minmax(0,1fr))}
@container (max-width:560px){.grid{grid-template-columns:minmax(0,1fr)}}
:host{container-type:inline-size}
.panel button{width:100%;text-align:left;border-radius:5px 5px 0 0;overflow-wrap:anywhere}
.panel button::after{content:"";display:block;clear:both}
.level{float:right;margin-left:.5em;font-size:12px;line-height:1.6;white-space:nowrap;opacity:.9}
.view{position:relative;overflow:hidden;cursor:crosshair;touch-action:pan-y;border:1px solid var(--line);border-top:0;user-select:none}
.chosen .view{border-color:var(--accent);box-shadow:0 0 0 1px var(--accent)}
canvas{display:block;width:100%;height:100%}
.head{position:absolute;top:0;bottom:0;width:2px;margin-left:-1px;background:#fff;box-shadow:0 0 0 1px #0009;pointer-events:none}
.part{position:absolute;top:0;bottom:0;background:#ffffff38;border:solid #fff;border-width:0 2px;box-shadow:0 0 0 1px #0006;pointer-events:none}
.hz{position:absolute;left:3px;top:1px;color:#fff;text-shadow:0 0 3px #000,0 0 3px #000;font-size:11px;pointer-events:none}
.ticks{position:relative;height:15px;font-size:11px;opacity:.85}
.ticks span{position:absolute;border-left:1px solid currentColor;padding-left:3px;line-height:14px}
.foot{display:flex;flex-wrap:wrap;gap:2px 14px;align-items:baseline;margin-top:2px}
.scale{display:inline-flex;gap:6px;align-items:center}
.scale i{width:80px;height:9px;background:linear-gradient(90deg,${MAGMA.join()});border:1px solid var(--line)}
details[open]{flex-basis:100%}
summary{cursor:pointer;font-size:12px}
`;
Object.assign(Player, { spectrogram });
customElements.define("dprnn-player", Player);
})();
