"""How well networks separate people whom they have never met: mean SI-SDRi by kind of pair, with its interval.

::

    python data/evaluate_unseen.py --mixtures runs/unseen/mixtures.npz data/model/small.safetensors ...

``mixtures.npz`` is what ``data/build_many_voices.py`` writes: ``mixture [M, T]`` and ``sources [M, 2, T]``, float32 at
8 kHz, and ``kind [M]``.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from dprnn_lab import PITLossWrapper, load_model, pairwise_neg_sisdr
from dprnn_lab.evaluation import bootstrap_mean
from dprnn_lab.evaluation.opening import open_mixtures
from dprnn_lab.loss import si_sdr


def stacked(name: str) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Bundled mixtures of one length, by the name of their list: ``[M, T]``, sources ``[M, 2, T]``, kinds ``[M]``."""
    mixtures = open_mixtures(name)
    both = [mixtures[index][:2] for index in range(len(mixtures))]
    mixture, sources = (torch.stack(part) for part in zip(*both, strict=True))
    return mixture, sources, np.array([spec.kind for spec in mixtures.specs])


@torch.no_grad()
def improvements(model: torch.nn.Module, mixture: torch.Tensor, sources: torch.Tensor) -> np.ndarray:
    """SI-SDRi in dB of each mixture ``[M, T]`` under the best permutation of its sources ``[M, 2, T]``: ``[M]``."""
    pit = PITLossWrapper(pairwise_neg_sisdr)
    before = si_sdr(mixture.unsqueeze(1).expand_as(sources), sources).mean(1)
    losses = [
        pit.best_permutation(model(m), s)[0] for m, s in zip(mixture.split(4), sources.split(4), strict=True)
    ]
    return (-torch.cat(losses) - before).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mixtures", type=Path, required=True)
    parser.add_argument("models", nargs="+", help="what load_model opens")
    arguments = parser.parse_args()
    with np.load(arguments.mixtures) as arrays:
        mixture, sources = torch.from_numpy(arrays["mixture"]), torch.from_numpy(arrays["sources"])
        kinds = arrays["kind"]
    for name in arguments.models:
        gains = improvements(load_model(name), mixture, sources)
        cells = [f"{np.mean(gains > 5):.0%} over 5 dB"]
        for kind in [*sorted(set(kinds)), "all"]:
            cells.append(f"{kind} {bootstrap_mean(gains if kind == 'all' else gains[kinds == kind])}")
        print(f"{name}: {', '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
