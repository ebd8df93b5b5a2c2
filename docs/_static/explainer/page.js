"use strict";
// The page: choose, fold, separate, walk, listen. `window.explainer` is what the tests read.
(() => {
  const { config, samples: T, sampleRate, mixtures } = window.dprnnMixtures;
  const { kernel_size: kernel, stride } = config;
  const L = Signal.frameCount(T, kernel, stride);
  const $ = (id) => document.getElementById(id);
  const state = (window.explainer = { mixture: null, references: [], levels: null, tensors: null, step: 0, busy: false });

  // --- 1. the mixture ---
  function choose(title, mixture, references = []) {
    Object.assign(state, { mixture, references, tensors: null, levels: Signal.frameLevels(mixture, kernel, stride) });
    $("chosen").textContent = title;
    $("mixture-sound").src = Signal.wav(mixture, sampleRate).address;
    $("player").replaceChildren(); // what it plays ends
    $("walk").hidden = $("result").hidden = true;
    $("state").textContent = "Not separated yet.";
    refold();
  }

  function chooseBundled(index) {
    const { title, mixture, references } = mixtures[index];
    [...$("choices").children].forEach((b, i) => b.setAttribute("aria-pressed", String(i === index)));
    choose(title, Signal.decodePcm(mixture), references.map(Signal.decodePcm));
  }

  async function chooseFile(file) {
    try {
      const { samples, seconds } = await Signal.decodeFile(await file.arrayBuffer(), sampleRate, T);
      if (samples.every((v) => v === 0)) throw new Error("its first 4 seconds are silence");
      [...$("choices").children].forEach((b) => b.setAttribute("aria-pressed", "false"));
      const cut = seconds > T / sampleRate ? `, the first ${T / sampleRate} of ${seconds.toFixed(1)} seconds` : "";
      choose(`${file.name}${cut}`, samples);
    } catch (error) {
      const reason = error.name === "EncodingError" ? "this browser can't decode it" : error.message;
      $("chosen").textContent = `${file.name}: ${reason}. Open a WAV, FLAC, MP3 or Ogg file with speech. ` +
        "The mixture stays as it was.";
    }
  }

  async function record() {
    const button = $("record");
    let stream = null;
    button.disabled = true;
    try {
      if (!navigator.mediaDevices) throw new Error("this page has no access to a microphone");
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      const recorder = new MediaRecorder(stream), parts = [];
      recorder.ondataavailable = (event) => parts.push(event.data);
      const stopped = new Promise((done) => { recorder.onstop = done; });
      recorder.start();
      $("chosen").textContent = "Recording: let two people speak at the same time.";
      await new Promise((done) => setTimeout(done, (1000 * T) / sampleRate + 200));
      recorder.stop();
      await stopped;
      await chooseFile(new File(parts, "Your recording"));
    } catch (error) {
      $("chosen").textContent = `No recording: ${error.message}. Allow the microphone for this page, or open a file.`;
    } finally {
      stream?.getTracks().forEach((track) => track.stop());
      button.disabled = false;
    }
  }

  // --- 2. chunks: no forward pass, redrawn at every movement of a slider ---
  function refold() {
    const started = performance.now();
    const K = Number($("size").value), P = K / 2;
    const { C, chunks } = Signal.fold(state.levels, K, P);
    $("chunk").max = C - 1;
    const chunk = Math.min(Number($("chunk").value), C - 1);
    const top = chunks.reduce((most, v) => Math.max(most, v), 1e-6);
    const floor = 20 * Math.log10(top) - 50;
    Draw.heatmap($("folded"), K, C, (k, c) => 20 * Math.log10(chunks[c * K + k] + 1e-6),
      { range: [floor, floor + 50], marked: chunk });
    const first = (chunk * P - K) * stride;
    Draw.waveform($("wave"), state.mixture, [Math.max(0, first), Math.min(T, first + K * stride)]);
    $("size-value").textContent = `${K} frames, ${((1000 * K * stride) / sampleRate).toFixed(0)} ms`;
    $("chunk-value").textContent = `${chunk + 1} of ${C}`;
    $("plan").textContent = `L = ${L} frames, K = ${K}, P = ${P}: C = ${C} chunks. The intra-chunk RNN sees ${K} steps, ` +
      `the inter-chunk RNN ${C}. Both see equally many near K = √(2L) = ${Math.round(Math.sqrt(2 * L))}; ` +
      `this model was trained with K = ${config.chunk_size}.`;
    Object.assign(state, { fold: { K, P, C, chunks }, foldMilliseconds: performance.now() - started });
  }

  // --- 3. the forward pass ---
  async function separate() {
    if (state.busy) return;
    state.busy = true; $("run").disabled = true;
    const mixture = state.mixture;
    try {
      if (!Network.place) $("state").textContent = "Loading the model and the runtime, 25 MB ...";
      await Network.prepare();
      $("state").textContent = "Computing ...";
      const { seconds, tensors } = await Network.run(mixture);
      if (state.mixture !== mixture) { $("state").textContent = "Another mixture was chosen meanwhile."; return; }
      state.tensors = tensors;
      $("state").textContent = `${T / sampleRate} seconds of sound in ${seconds.toFixed(2)} s.`;
      $("walk").hidden = $("result").hidden = false;
      show(0);
      listen();
    } catch (error) {
      $("state").textContent = `The model did not run: ${error.message}.`;
    } finally {
      state.busy = false; $("run").disabled = false;
    }
  }

  // --- 4. the steps ---
  const steps = [
    ["encoded", "Encoder", "N learned filters at every frame: rows are filters, columns frames."],
    ["chunks", "Segmentation", "The normalised frames, F features each, cut into chunks. Columns are chunks."],
    ...Array.from({ length: config.n_repeats }, (_, i) => i + 1).flatMap((n) => [
      [`intra${n}`, `Intra path ${n}`, "What the RNN inside each chunk adds: it runs up the columns, in both directions."],
      [`inter${n}`, `Inter path ${n}`, "What the RNN across chunks adds: it runs along the rows, one step per chunk."],
      [`block${n}`, `Block ${n}`, "The chunks after both paths: input plus both additions."],
    ]),
    ["masks", "Masks", "After overlap-add: one factor between 0 and 1 per filter and frame, for each output."],
    ["estimates", "Decoder", "Masks times the encoder's output, through the decoder's filters, as samples."],
  ];

  function show(index, focus = false) {
    state.step = Math.max(0, Math.min(steps.length - 1, index));
    const [name, title, text] = steps[state.step], { dims, data } = state.tensors[name];
    [...$("steps").children].forEach((b, i) => {
      b.setAttribute("aria-selected", String(i === state.step));
      b.tabIndex = i === state.step ? 0 : -1;
    });
    if (focus) $("steps").children[state.step].focus();
    $("step-title").textContent = title;
    $("step-shape").textContent = `[${letters(name)}] = [${dims.join(", ")}]`;
    $("step-text").textContent = text;
    $("feature-row").hidden = dims.length !== 4 || name === "masks";
    $("pictures").replaceChildren();
    $("step-range").textContent = draw(name, dims, data);
  }

  const letters = (name) =>
    ({ encoded: "B, N, L", masks: "B, S, N, L", estimates: "B, S, T" })[name] || "B, C, K, F";

  function canvas(label) {
    const made = document.createElement("canvas");
    made.setAttribute("role", "img"); made.setAttribute("aria-label", label);
    $("pictures").append(made);
    return made;
  }

  function draw(name, dims, data) {
    const range = ([low, high], unit) => `Colours from ${low.toPrecision(3)} to ${high.toPrecision(3)}${unit}.`;
    if (name === "encoded") {
      const [, N, frames] = dims;
      return range(Draw.heatmap(canvas("Encoder output"), N, frames, (n, l) => data[n * frames + l], { map: "signed" }), "");
    }
    if (name === "masks") {
      const [, S, N, frames] = dims;
      for (let s = 0; s < S; s++) {
        Draw.heatmap(canvas(`Mask of output ${s + 1}`), N, frames, (n, l) => data[(s * N + n) * frames + l], { range: [0, 1] });
      }
      return "Upper picture: output 1. Lower picture: output 2. Colours from 0 to 1.";
    }
    if (name === "estimates") {
      for (let s = 0; s < dims[1]; s++) Draw.waveform(canvas(`Samples of output ${s + 1}`), output(s));
      return "Each scaled to its own peak.";
    }
    const [, C, K, F] = dims, feature = Number($("feature").value);
    $("feature-value").textContent = feature ? `${feature} of ${F}` : "RMS of all";
    const picture = canvas(`${name}, one column per chunk`);
    picture.style.imageRendering = "pixelated";
    if (feature) {
      const value = (k, c) => data[(c * K + k) * F + feature - 1];
      return range(Draw.heatmap(picture, K, C, value, { map: "signed" }), "");
    }
    const rms = new Float32Array(C * K);
    for (let i = 0; i < C * K; i++) {
      let power = 0;
      for (let f = 0; f < F; f++) power += data[i * F + f] ** 2;
      rms[i] = Math.sqrt(power / F);
    }
    return range(Draw.heatmap(picture, K, C, (k, c) => rms[c * K + k]), " RMS");
  }

  // --- 5. the outputs ---
  const output = (s) => state.tensors.estimates.data.slice(s * T, (s + 1) * T);

  function listen() {
    const outputs = [0, 1].map(output);
    const order = bestOrder(outputs);
    $("player").replaceChildren(
      player([["Mixture", state.mixture], ...outputs.map((samples, s) => [`Output ${s + 1}`, samples])]));
    $("outputs").replaceChildren(...outputs.map((samples, s) => {
      const box = document.createElement("div"), title = document.createElement("h3");
      title.textContent = `Output ${s + 1}`;
      if (order) {
        const target = state.references[order[s]];
        const gain = Signal.siSdr(samples, target) - Signal.siSdr(state.mixture, target);
        title.textContent += `: SI-SDRi ${gain.toFixed(1)} dB`;
      }
      const wave = document.createElement("canvas");
      wave.setAttribute("role", "img");
      wave.setAttribute("aria-label", `Waveform of output ${s + 1}`);
      box.append(title, wave);
      requestAnimationFrame(() => Draw.waveform(wave, samples));
      return box;
    }));
  }

  // The comparing player of dprnn_lab.compare: [name, samples] under one play head, one of them heard.
  function player(sounds) {
    const made = document.createElement("dprnn-player");
    made.setAttribute("rate", sampleRate);
    made.setAttribute("columns", sounds.length);
    made.setAttribute("matched", ""); // outputs of a network trained with SI-SDR have no level of their own
    made.append(...sounds.map(([name, samples]) => {
      const box = document.createElement("div"), audio = document.createElement("audio");
      const { address, scale } = Signal.wav(samples, sampleRate);
      audio.controls = true; audio.setAttribute("aria-label", name);
      audio.dataset.scale = scale;
      audio.src = address;
      box.append(name, audio);
      return box;
    }));
    return made;
  }

  // The order of references with the higher sum of SI-SDR, as PIT takes it; null without references.
  function bestOrder(outputs) {
    if (state.references.length !== 2) return null;
    const sum = (order) => order.reduce((all, r, s) => all + Signal.siSdr(outputs[s], state.references[r]), 0);
    return sum([0, 1]) >= sum([1, 0]) ? [0, 1] : [1, 0];
  }

  // --- wiring ---
  const button = (label, attributes, action) => {
    const made = document.createElement("button");
    made.type = "button"; made.textContent = label; made.onclick = action;
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    return made;
  };
  mixtures.forEach(({ title }, i) => $("choices").append(button(title, { "aria-pressed": "false" }, () => chooseBundled(i))));
  steps.forEach(([, title], i) => $("steps").append(
    button(title, { role: "tab", "aria-selected": "false", "aria-controls": "step" }, () => show(i))));
  $("steps").onkeydown = $("step").onkeydown = (event) => {
    if (event.target.type === "range") return;
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (move) { event.preventDefault(); show(state.step + move, event.currentTarget === $("steps")); }
  };
  $("size").oninput = $("chunk").oninput = refold;
  $("size").value = config.chunk_size;
  $("feature").max = config.bn_chan;
  $("feature").oninput = () => show(state.step);
  $("run").onclick = separate;
  // One sound at a time: the player and the mixture's own player stop each other.
  $("mixture-sound").onplay = () => $("player").firstElementChild?.pause();
  $("player").onclick = $("player").onkeyup = () => {
    if ($("player").firstElementChild?.playing) $("mixture-sound").pause();
  };
  // Whoever touches the page is about to separate: load meanwhile. An error shows when the button is pressed.
  for (const event of ["pointerdown", "keydown"]) {
    document.addEventListener(event, () => Network.prepare().catch(() => {}), { once: true });
  }
  $("record").onclick = record;
  $("file").onchange = (event) => { if (event.target.files[0]) chooseFile(event.target.files[0]); event.target.value = ""; };
  document.ondragover = (event) => { event.preventDefault(); document.body.classList.add("drop"); };
  document.ondragleave = () => document.body.classList.remove("drop");
  document.ondrop = (event) => {
    event.preventDefault();
    document.body.classList.remove("drop");
    if (event.dataTransfer.files[0]) chooseFile(event.dataTransfer.files[0]);
  };
  chooseBundled(0);
})();
