"use strict";
// Pictures on a canvas. A heat map is drawn pixel by value, and the browser scales it.
window.Draw = (() => {
  const DARK_TO_LIGHT = [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]];
  const BLUE_TO_RED = [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]];

  function palette(stops) {
    return Array.from({ length: 256 }, (_, i) => {
      const at = (i / 255) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
      return stops[low].map((v, c) => Math.round(v + (at - low) * (stops[low + 1][c] - v)));
    });
  }
  const MAPS = { level: palette(DARK_TO_LIGHT), signed: palette(BLUE_TO_RED) };

  // value(row, column) over rows x columns, row 0 at the bottom; `range` = [lowest, highest].
  function heatmap(canvas, rows, columns, value, { range, map = "level", marked = null } = {}) {
    canvas.width = columns; canvas.height = rows;
    const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
    let [low, high] = range || [Infinity, -Infinity];
    if (!range) {
      for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
        const v = value(r, c); if (v < low) low = v; if (v > high) high = v;
      }
      if (map === "signed") { high = Math.max(-low, high); low = -high; }
    }
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
      const level = Math.round((255 * (value(r, c) - low)) / (high - low || 1));
      const colour = MAPS[map][Math.max(0, Math.min(255, level))], at = 4 * ((rows - 1 - r) * columns + c);
      image.data.set(colour, at);
      image.data[at + 3] = marked === null || marked === c ? 255 : 150;
    }
    context.putImageData(image, 0, 0);
    return [low, high];
  }

  // Highest and lowest sample of each pixel column; `span` = [first, last] sample to mark.
  function waveform(canvas, samples, span = null) {
    const width = (canvas.width = 900), height = (canvas.height = 90), context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    const peak = samples.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6);
    if (span) {
      context.fillStyle = style.getPropertyValue("--mark");
      const left = (span[0] / samples.length) * width;
      context.fillRect(left, 0, Math.max(2, ((span[1] - span[0]) / samples.length) * width), height);
    }
    context.fillStyle = style.getPropertyValue("--wave");
    for (let x = 0; x < width; x++) {
      const from = Math.floor((x / width) * samples.length), to = Math.floor(((x + 1) / width) * samples.length);
      let low = 0, high = 0;
      for (let t = from; t < to; t++) { low = Math.min(low, samples[t]); high = Math.max(high, samples[t]); }
      context.fillRect(x, (height / 2) * (1 - high / peak), 1, Math.max(1, (height / 2) * ((high - low) / peak)));
    }
  }

  return { heatmap, waveform };
})();
