from types import SimpleNamespace

import numpy as np
import pandas as pd

from dprnn_lab.plots.voice_counts import score_over_voices


def test_each_set_has_a_curve_with_intervals_and_the_runs_as_dots():
    curve = {n: SimpleNamespace(mean=n / 10, low=n / 10 - 1, high=n / 10 + 2) for n in (2, 50)}
    rows = pd.DataFrame(
        {"voices": [2, 2, 2, 50], "seed": [0, 0, 1, 0], "set": "new", "si_sdri": [-1.0, 1.0, 0.5, 5.0]}
    )
    (axes,) = score_over_voices({"new": curve, "shared": curve}, rows).axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "50"]
    (dots,) = [line for line in axes.lines if line.get_marker() == "_" and len(line.get_ydata()) == 3]
    assert list(dots.get_ydata()) == [0.0, 0.5, 5.0]
    bars = axes.containers[0].lines[2][0].get_segments()
    assert np.allclose([bar[:, 1] for bar in bars], [[-0.8, 2.2], [4.0, 7.0]])
