// Several sounds that run together, of which one is heard: what the comparing player and the blind test have in common.
//
// All sounds of an element start at one time of one AudioContext, each through a gain of its own. To switch is to move
// gains: nothing stops or starts, so the time goes on, and there is no gap. The gains move exponentially with the same
// time constant, so they add up to one at every moment: two equal sounds keep their level through a switch.
(() => {
if (window.dprnnSound) return;

const SWITCH_SECONDS = 0.003;
const EDGE_SECONDS = 0.005;
const FRAME_SECONDS = 0.02;
const ACTIVE_DB = 40;
const SILENT = 1e-4;
const SEEK_SECONDS = 0.25;

// One context for each sample rate: the browser resamples its sum once, and better than it would each sound.
const contexts = new Map();
let sounding = null;

function contextOf(rate) {
  if (!contexts.has(rate)) {
    let context;
    try { context = new AudioContext({ sampleRate: rate }); } catch { context = new AudioContext(); }
    contexts.set(rate, context);
  }
  return contexts.get(rate);
}

// An <audio> element with a data address to its samples, at the rate of the file.
async function decode(audio, rate) {
  const bytes = Uint8Array.from(atob(audio.getAttribute("src").split(",")[1]), sign => sign.charCodeAt(0));
  const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.buffer);
  return buffer.getChannelData(0);
}

// RMS over the active frames: 20 ms each, those within 40 dB of the loudest one.
function activeRms(samples, rate) {
  const size = Math.max(1, Math.round(FRAME_SECONDS * rate)), powers = [];
  for (let start = 0; start < samples.length; start += size) {
    const end = Math.min(start + size, samples.length);
    let sum = 0;
    for (let i = start; i < end; i++) sum += samples[i] * samples[i];
    powers.push(sum / (end - start));
  }
  const least = powers.reduce((a, b) => Math.max(a, b), 0) / 10 ** (ACTIVE_DB / 10);
  const active = powers.filter(power => power >= least);
  return Math.sqrt(active.reduce((a, b) => a + b, 0) / Math.max(1, active.length));
}

// Gains of the stored samples. As they are: all sounds keep their relation; where one exceeds full scale, all are
// turned down by as much. Matched: equal RMS over the active parts, as loud as the loudest, less where that would
// clip. A silent sound stays silent.
function gainsOf(tracks, matched) {
  if (!matched) {
    const over = tracks.reduce((most, track) => Math.max(most, track.scale), 1);
    return tracks.map(track => track.scale / over);
  }
  const loud = tracks.filter(track => track.rms > SILENT);
  const most = loud.reduce((level, track) => Math.max(level, track.rms), 0);
  const target = loud.reduce((level, track) => Math.min(level, track.rms / track.peak), most);
  return tracks.map(track => track.rms > SILENT ? track.scale * target / track.rms : 1);
}

function toBuffer(samples, rate, length, from = 0, edges = 0) {
  const buffer = new AudioBuffer({ length, sampleRate: rate, numberOfChannels: 1 });
  const data = buffer.getChannelData(0);
  data.set(samples.subarray(from, from + length));
  for (let i = 0; i < edges; i++) {
    data[i] *= i / edges;
    data[length - 1 - i] *= i / edges;
  }
  return buffer;
}

function startGraph(context, buffers, gains, when, offset, loop) {
  const master = context.createGain();
  master.gain.value = 0;
  master.gain.setValueAtTime(0, when);
  master.gain.linearRampToValueAtTime(1, when + EDGE_SECONDS);
  master.connect(context.destination);
  const nodes = buffers.map((buffer, index) => {
    const source = context.createBufferSource(), gain = context.createGain();
    source.buffer = buffer;
    source.loop = loop;
    gain.gain.value = gains[index];
    source.connect(gain).connect(master);
    source.start(when, offset);
    return { source, gain };
  });
  return { context, master, nodes };
}

function setGains(graph, gains, when) {
  graph.nodes.forEach((node, index) => node.gain.gain.setTargetAtTime(gains[index], when, SWITCH_SECONDS));
}

function stopGraph(graph, when) {
  graph.master.gain.setTargetAtTime(0, when, EDGE_SECONDS / 2);
  graph.nodes.forEach(node => { node.source.onended = null; node.source.stop(when + 5 * EDGE_SECONDS); });
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "class") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

// An element whose <audio> children are its sounds. Until they are decoded, and where scripts are not run, the
// children themselves are shown; a shadow root takes their place then.
class Sounds extends HTMLElement {
  tracks = [];
  active = 0;
  start = 0;
  graph = null;
  looping = false;
  selection = null;
  matched = false;

  connectedCallback() {
    if (this.building) return;
    this.building = true;
    this.setAttribute("data-lm-suppress-shortcuts", "true");
    const build = () => this.build().catch(error => console.warn("the plain players stay:", error));
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", build, { once: true });
    else build();
  }

  disconnectedCallback() { this.pause(); }

  async build() {
    this.rate = Number(this.getAttribute("rate"));
    this.matched = this.hasAttribute("matched");
    this.looping = this.hasAttribute("looping");
    this.tracks = await Promise.all([...this.querySelectorAll("audio")].map(async audio => {
      const stored = await decode(audio, this.rate), scale = Number(audio.dataset.scale || 1);
      const peak = scale * stored.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
      return { name: audio.getAttribute("aria-label"), stored, scale, peak, rms: scale * activeRms(stored, this.rate) };
    }));
    this.length = this.tracks.reduce((most, track) => Math.max(most, track.stored.length), 1);
    this.duration = this.length / this.rate;
    const root = this.attachShadow({ mode: "open" });
    this.render(root);
    root.addEventListener("keydown", event => this.key(event));
    // After a click on a button the keys belong to the tracks again, so that the space bar plays and pauses.
    root.addEventListener("click", event => {
      if (event.detail && event.target.closest("button:not([role=radio])")) this.focusTrack();
    });
    this.refresh();
  }

  get playing() { return this.graph !== null; }

  get position() {
    if (!this.graph) return this.start;
    const passed = Math.max(0, this.graph.context.currentTime - this.graph.began);
    const [from, to] = this.graph.part;
    const at = this.start + passed;
    return this.graph.looped ? from + (at - from) % (to - from) : Math.min(at, to);
  }

  gains() { return gainsOf(this.tracks, this.matched); }

  heard() { return this.gains().map((gain, index) => index === this.active ? gain : 0); }

  play() {
    if (!this.tracks.length || !this.isConnected) return;
    if (sounding && sounding !== this) sounding.pause();
    sounding = this;
    if (this.graph) this.halt();
    const context = contextOf(this.rate), looped = this.looping;
    context.resume();
    const [from, to] = looped && this.selection ? this.selection : [0, this.duration];
    const first = Math.round(from * this.rate), length = Math.max(1, Math.round(to * this.rate) - first);
    // In whole samples, so that the play head of a long loop does not drift.
    const part = [first / this.rate, (first + length) / this.rate];
    if (this.start < part[0] || this.start > part[1] - 0.01) this.start = part[0];
    const edges = looped ? Math.min(Math.round(EDGE_SECONDS * this.rate), length >> 1) : 0;
    const buffers = this.tracks.map(track => toBuffer(track.stored, this.rate, length, first, edges));
    const began = context.currentTime + 0.01;
    this.graph = startGraph(context, buffers, this.heard(), began, this.start - part[0], looped);
    Object.assign(this.graph, { began, part, looped });
    if (!looped) this.graph.nodes[0].source.onended = () => { this.halt(); this.start = 0; this.refresh(); };
    this.refresh();
    const tick = () => { if (this.graph) { this.moved(this.position); requestAnimationFrame(tick); } };
    tick();
  }

  // Stop at the place that is heard.
  halt() {
    this.start = this.position;
    stopGraph(this.graph, this.graph.context.currentTime);
    this.graph = null;
  }

  pause() {
    if (!this.graph) return;
    this.halt();
    this.refresh();
  }

  toggle() { this.playing ? this.pause() : this.play(); }

  seek(seconds) {
    const playing = this.playing;
    if (playing) this.halt();
    this.start = Math.min(Math.max(0, seconds), this.duration);
    if (playing) this.play(); else this.refresh();
  }

  choose(index) {
    if (index < 0 || index >= this.tracks.length) return;
    this.active = index;
    if (this.graph) setGains(this.graph, this.heard(), this.graph.context.currentTime);
    this.refresh();
  }

  setMatched(matched) {
    this.matched = matched;
    if (this.graph) setGains(this.graph, this.heard(), this.graph.context.currentTime);
    this.refresh();
  }

  setLoop(looping, selection = this.selection) {
    const playing = this.playing;
    if (playing) this.halt();
    this.looping = looping;
    this.selection = selection;
    if (playing) this.play(); else this.refresh();
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const onButton = event.target.closest("button:not([role=radio]), summary");
    if (onButton && (event.key === " " || event.key === "Enter")) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const step = event.shiftKey ? 4 * SEEK_SECONDS : SEEK_SECONDS;
    const known = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(this.position - step),
      ArrowRight: () => this.seek(this.position + step),
      Home: () => this.seek(0),
      l: () => this.setLoop(!this.looping),
      ...this.moreKeys(),
    };
    if (!known[name]) return;
    event.preventDefault();
    event.stopPropagation();
    // A key that is held down repeats: only seeking goes on, an answer or a switch is given once.
    if (!event.repeat || name.startsWith("Arrow")) known[name]();
  }
}

window.dprnnSound = {
  Sounds, element, activeRms, gainsOf, toBuffer, startGraph, setGains, contextOf,
  decibels: ratio => 20 * Math.log10(ratio),
  signed: number => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(1) + " dB",
  STYLE: `
:host{display:block;font:14px/1.35 system-ui,sans-serif;color:inherit;max-width:100%;
--line:color-mix(in srgb,currentColor 30%,transparent);--accent:#1f77b4}
*{box-sizing:border-box}
[hidden]{display:none!important}
button{font:inherit;color:inherit;background:color-mix(in srgb,currentColor 7%,transparent);
border:1px solid var(--line);border-radius:5px;padding:3px 10px;min-height:32px;cursor:pointer}
button:hover{background:color-mix(in srgb,currentColor 15%,transparent)}
button:focus-visible,input:focus-visible,summary:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
button[aria-pressed=true],button[aria-checked=true]{background:var(--accent);border-color:var(--accent);color:#fff}
.bar{display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:4px 0}
.bar input{flex:1 1 120px;min-width:100px;accent-color:var(--accent)}
output{font-variant-numeric:tabular-nums;white-space:nowrap}
small{opacity:.85}
kbd{font:inherit;border:1px solid var(--line);border-radius:3px;padding:0 4px}
`,
};
})();
