// <dprnn-blind-test>: an A/B/X test of its two sounds, with the exact binomial interval at the end. Needs engine.js.
(() => {
if (customElements.get("dprnn-blind-test")) return;
const { Sounds, element, decibels, signed, gainsOf, STYLE } = window.dprnnSound;
const CONFIDENCE = 0.95;

// mulberry32: numbers from 0 to 1 from a seed.
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// P(at least k right of n), each right with probability p; terms in logarithms, so that large n do not overflow.
function tail(k, n, p) {
  if (k <= 0 || p >= 1) return 1;
  if (p <= 0) return 0;
  let logTerm = n * Math.log(p), sum = 0;
  for (let i = n; i >= k; i--) {
    sum += Math.exp(logTerm);
    logTerm += Math.log(i / (n - i + 1)) + Math.log1p(-p) - Math.log(p);
  }
  return Math.min(1, sum);
}

// Clopper-Pearson: the p at which k or more, and k or fewer, would each come with probability (1 - confidence) / 2.
function interval(k, n, confidence = CONFIDENCE) {
  const solve = reached => {
    let low = 0, high = 1;
    for (let i = 0; i < 60; i++) {
      const middle = (low + high) / 2;
      if (reached(middle)) high = middle; else low = middle;
    }
    return (low + high) / 2;
  };
  const rest = (1 - confidence) / 2;
  return [
    k === 0 ? 0 : solve(p => tail(k, n, p) >= rest),
    k === n ? 1 : solve(p => 1 - tail(k + 1, n, p) <= rest),
  ];
}

// One-sided: how often guessing alone gives as many right answers or more.
const guessing = (k, n) => tail(k, n, 0.5);

function verdict(k, n) {
  const [low, high] = interval(k, n), p = guessing(k, n);
  const shown = p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`;
  return `${k} of ${n} right, 95 % Clopper-Pearson interval ${low.toFixed(2)} to ${high.toFixed(2)}; chance is 0.50; ` +
    `${shown} (one-sided: as many or more by guessing). ` + (p < 0.05 ? "Guessing hardly explains this." :
      `That is no evidence that you hear a difference${k < n ? ", and none that there is nothing to hear" : ""}.`);
}

class BlindTest extends Sounds {
  async build() {
    const seed = this.getAttribute("seed");
    this.random = randomFrom(seed === null ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(seed));
    this.trials = Number(this.getAttribute("trials"));
    await super.build();
  }

  render(root) {
    const [a, b] = this.tracks;
    this.changes = gainsOf([a, b], this.matched).map((gain, index) => decibels(gain / this.tracks[index].scale));
    // X is a third sound that runs with the two: what it holds is drawn anew for each trial.
    this.tracks = [a, b, { ...a }];
    const button = (name, title, act, role) => {
      const made = element("button", { type: "button", title, ...(role ? { role } : {}) }, ...name);
      made.addEventListener("click", act);
      return made;
    };
    this.playButton = button(["▶ Play"], "space", () => this.toggle());
    this.loopButton = button(["Loop"], "L", () => this.setLoop(!this.looping));
    this.time = element("output");
    const names = [[element("b", {}, "A"), ` ${a.name}`], [element("b", {}, "B"), ` ${b.name}`], [element("b", {}, "X"), " one of the two"]];
    this.choices = names.map((name, index) => button(name, "ABX"[index], () => this.choose(index), "radio"));
    const group = element("div", { class: "bar", role: "radiogroup", "aria-label": "Which sound is heard" }, ...this.choices);
    this.answers = [0, 1].map(index => button([`X is ${"AB"[index]}`], `${index + 1}`, () => this.answer(index)));
    this.again = button(["Once more"], "a new order", () => this.begin());
    this.progress = element("p", { role: "status" });
    this.result = element("p", { role: "status" });
    this.list = element("small");
    this.levels = element("small");
    const keys = element("small");
    keys.innerHTML = "<kbd>space</kbd> play, pause · <kbd>A</kbd> <kbd>B</kbd> <kbd>X</kbd> switch · <kbd>1</kbd> X is A · " +
      "<kbd>2</kbd> X is B · <kbd>←</kbd> <kbd>→</kbd> seek · <kbd>L</kbd> loop";
    root.append(element("style", { textContent: STYLE + STYLE_OF_TEST }), element("div", { class: "test" }, this.progress,
      element("div", { class: "bar" }, this.playButton, this.loopButton, this.time), group,
      element("div", { class: "bar" }, ...this.answers, this.again), this.result, this.list, this.levels, keys));
    this.begin();
  }

  begin() {
    this.pause();
    this.order = Array.from({ length: this.trials }, () => this.random() < 0.5 ? 0 : 1);
    this.given = [];
    this.active = 0;
    this.load();
    this.refresh();
  }

  load() {
    const hidden = this.tracks[this.order[Math.min(this.given.length, this.trials - 1)]];
    this.tracks[2] = { ...hidden };
  }

  get done() { return this.given.length >= this.trials; }

  get right() { return this.given.filter((answer, index) => answer === this.order[index]).length; }

  // Gains are found for the two sounds: X has those of what it holds.
  gains() {
    const two = gainsOf(this.tracks.slice(0, 2), this.matched);
    return [...two, two[this.order?.[Math.min(this.given.length, this.trials - 1)] ?? 0]];
  }

  choose(index) {
    super.choose(index);
    if (this.shadowRoot.activeElement?.getAttribute("role") === "radio") this.focusTrack();
  }

  answer(index) {
    if (this.done) return;
    const playing = this.playing;
    if (playing) this.pause();
    this.given.push(index);
    this.start = 0;
    if (!this.done) {
      this.load();
      if (playing) this.play();
    }
    this.refresh();
    this.dispatchEvent(new CustomEvent("answer", { detail: { trial: this.given.length, of: this.trials } }));
  }

  moreKeys() {
    return {
      a: () => this.choose(0), b: () => this.choose(1), x: () => this.choose(2), 1: () => this.answer(0), 2: () => this.answer(1),
      ArrowUp: () => this.choose((this.active + 2) % 3), ArrowDown: () => this.choose((this.active + 1) % 3),
    };
  }

  focusTrack() { this.choices[this.active]?.focus({ preventScroll: true }); }

  refresh() {
    this.playButton.textContent = this.playing ? "❚❚ Pause" : "▶ Play";
    this.loopButton.setAttribute("aria-pressed", this.looping);
    this.choices.forEach((choice, index) => {
      choice.setAttribute("aria-checked", index === this.active);
      choice.tabIndex = index === this.active ? 0 : -1;
    });
    this.answers.forEach(button => { button.disabled = this.done; });
    this.again.hidden = !this.done;
    this.progress.textContent = this.done ? `All ${this.trials} trials are answered.`
      : `Trial ${this.given.length + 1} of ${this.trials}: is X the same as A, or the same as B? Results come at the end.`;
    this.result.textContent = this.done ? verdict(this.right, this.trials) : "";
    this.list.textContent = this.done ? "X was " + this.order.map(i => "AB"[i]).join(" ") + "; you said " + this.given.map(i => "AB"[i]).join(" ") + "." : "";
    this.levels.textContent = this.matched
      ? `Levels are matched (equal RMS over the active parts): A ${signed(this.changes[0])}, B ${signed(this.changes[1])}.`
      : "Levels as they are: a difference of level can give X away.";
    this.moved(this.position);
  }

  moved(seconds) { this.time.textContent = `${seconds.toFixed(1)} / ${this.duration.toFixed(1)} s`; }
}

const STYLE_OF_TEST = `
.test{border:1px solid var(--line);border-radius:6px;padding:8px 12px;max-width:46em}
.test p{margin:4px 0}
.test small{display:block}
button:disabled{opacity:.5;cursor:default}
`;
Object.assign(BlindTest, { interval, guessing, verdict, randomFrom });
customElements.define("dprnn-blind-test", BlindTest);
})();
