"""Draw ``data/picture.png``, the picture in the README: a test mixture and what the bundled model makes of it.

Usage: ``python data/draw_picture.py``
"""

from pathlib import Path

import matplotlib.pyplot as plt

from dprnn_lab import PITLossWrapper, load_model, pairwise_neg_sisdr, separate
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.files import data_folder
from dprnn_lab.loss import si_sdr
from dprnn_lab.plots import draw_level_bars, draw_spectrogram, png

mixture, sources, spec = FixedMixtures("test", kind="man-woman")[34]
estimates = separate(load_model(data_folder() / "model" / "small.safetensors"), mixture)
estimates = PITLossWrapper(pairwise_neg_sisdr)(estimates[None], sources[None], return_est=True)[1][0]
gains = si_sdr(estimates, sources) - si_sdr(mixture, sources)
names = [Path(file).parts[0] for file in (spec.first, spec.second)]

figure, axes = plt.subplots(1, 3, figsize=(12, 2.8), layout="constrained", sharey=True)
draw_spectrogram(axes[0], mixture, "two people, one microphone")
for i in range(2):
    draw_spectrogram(axes[i + 1], estimates[i], f"output {i + 1}: {names[i]}, SI-SDRi {gains[i]:.1f} dB")
    axes[i + 1].set_ylabel("")
draw_level_bars(figure)
Path(__file__).with_name("picture.png").write_bytes(png(figure))
