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

  // Magnitudes in dB, [bins, frames], Hann window of `size` samples (a power of two).
  function spectrogram(samples, size = 256, hop = 64) {
    const frames = Math.max(1, Math.floor((samples.length - size) / hop) + 1), bins = size / 2;
    const data = new Float32Array(bins * frames);
    const re = new Float32Array(size), im = new Float32Array(size);
    for (let f = 0; f < frames; f++) {
      for (let i = 0; i < size; i++) {
        re[i] = (samples[f * hop + i] || 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));
        im[i] = 0;
      }
      fft(re, im);
      for (let b = 0; b < bins; b++) {
        data[b * frames + f] = 10 * Math.log10(re[b] ** 2 + im[b] ** 2 + 1e-9);
      }
    }
    return { bins, frames, data };
  }

  // In place, radix 2.
  function fft(re, im) {
    const n = re.length;
    for (let i = 1, j = 0; i < n; i++) {
      let bit = n >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) { [re[i], re[j]] = [re[j], re[i]]; [im[i], im[j]] = [im[j], im[i]]; }
    }
    for (let size = 2; size <= n; size *= 2) {
      for (let k = 0; k < size / 2; k++) {
        const angle = (-2 * Math.PI * k) / size, c = Math.cos(angle), s = Math.sin(angle);
        for (let start = k; start < n; start += size) {
          const other = start + size / 2;
          const x = re[other] * c - im[other] * s, y = re[other] * s + im[other] * c;
          re[other] = re[start] - x; im[other] = im[start] - y;
          re[start] += x; im[start] += y;
        }
      }
    }
  }

  // Samples -> a 16-bit WAV file; louder than 1 is scaled down, so that nothing clips.
  function wav(samples, rate) {
    const peak = samples.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
    const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
    const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
    view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
    view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
    view.setUint16(32, 2, true); view.setUint16(34, 16, true);
    text(36, "data"); view.setUint32(40, 2 * samples.length, true);
    samples.forEach((v, i) => view.setInt16(44 + 2 * i, Math.round((32767 * v) / peak), true));
    return new Blob([view.buffer], { type: "audio/wav" });
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

  return { decodePcm, frameCount, chunkCount, fold, frameLevels, siSdr, spectrogram, wav, decodeFile };
})();
