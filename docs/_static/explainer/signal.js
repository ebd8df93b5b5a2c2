"use strict";
// Arithmetic on samples and frames. The same definitions as in dprnn_lab: segment(), si_sdr(), frame counts.
window.Signal = (() => {
  // 16-bit little-endian PCM in base64 -> samples in [-1, 1].
  function decodePcm(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return Float32Array.from(new Int16Array(bytes.buffer), (v) => v / 32767);
  }

  const frameCount = (samples, kernel, stride) => Math.floor((samples - kernel) / stride) + 1;
  const chunkCount = (frames, K, P) => Math.floor((frames + K) / P) + 1;

  // values [L] -> chunks [C, K], with K zeros before and after, as segment() does.
  function fold(values, K, P) {
    const C = chunkCount(values.length, K, P);
    const chunks = new Float32Array(C * K);
    for (let c = 0; c < C; c++) {
      for (let k = 0; k < K; k++) {
        const frame = c * P + k - K;
        if (frame >= 0 && frame < values.length) chunks[c * K + k] = values[frame];
      }
    }
    return { C, chunks };
  }

  // RMS of the samples that each encoder frame sees, [L].
  function frameLevels(samples, kernel, stride) {
    const L = frameCount(samples.length, kernel, stride);
    const levels = new Float32Array(L);
    for (let l = 0; l < L; l++) {
      let power = 0;
      for (let i = 0; i < kernel; i++) power += samples[l * stride + i] ** 2;
      levels[l] = Math.sqrt(power / kernel);
    }
    return levels;
  }

  // Scale-invariant SDR in dB; both signals are centred first.
  function siSdr(estimate, target) {
    const T = target.length;
    let meanE = 0, meanT = 0;
    for (let t = 0; t < T; t++) { meanE += estimate[t] / T; meanT += target[t] / T; }
    let cross = 0, power = 0;
    for (let t = 0; t < T; t++) {
      cross += (estimate[t] - meanE) * (target[t] - meanT);
      power += (target[t] - meanT) ** 2;
    }
    const scale = cross / power;
    let wanted = 0, rest = 0;
    for (let t = 0; t < T; t++) {
      const projection = scale * (target[t] - meanT);
      wanted += projection ** 2;
      rest += (estimate[t] - meanE - projection) ** 2;
    }
    return 10 * Math.log10((wanted + 1e-12) / (rest + 1e-12));
  }

  // Samples -> the address of a 16-bit WAV file, and the factor by which samples over 1 were divided.
  function wav(samples, rate) {
    const scale = samples.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
    const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
    const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
    view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
    view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
    view.setUint16(32, 2, true); view.setUint16(34, 16, true);
    text(36, "data"); view.setUint32(40, 2 * samples.length, true);
    samples.forEach((v, i) => view.setInt16(44 + 2 * i, Math.round((32767 * v) / scale), true));
    const bytes = Array.from(new Uint8Array(view.buffer), (byte) => String.fromCharCode(byte)).join("");
    return { address: `data:audio/wav;base64,${btoa(bytes)}`, scale };
  }

  // Any sound that the browser decodes -> mono at `rate`, exactly `length` samples, zeros after a short one.
  async function decodeFile(buffer, rate, length) {
    const context = new OfflineAudioContext(1, length, rate); // decodes at this rate: the browser resamples
    const sound = await context.decodeAudioData(buffer);
    const samples = new Float32Array(length);
    for (let c = 0; c < sound.numberOfChannels; c++) {
      const channel = sound.getChannelData(c);
      for (let t = 0; t < Math.min(length, channel.length); t++) samples[t] += channel[t] / sound.numberOfChannels;
    }
    return { samples, seconds: sound.duration };
  }

  return { decodePcm, frameCount, chunkCount, fold, frameLevels, siSdr, wav, decodeFile };
})();
