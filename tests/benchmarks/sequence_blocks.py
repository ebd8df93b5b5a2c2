"""What it gains and costs to pad the number of sequences for oneDNN's RNNs in bfloat16, by length of the mixture.

    python tests/benchmarks/sequence_blocks.py

Two calls in turn, with and without (``PathRNN`` in dprnn_lab/model/dual_path.py), on one thread; the outputs have to
be the same to the bit. Writes ``sequence_blocks.md`` beside this file. Only a
processor that computes in bfloat16 shows it.
"""

import os
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from machine import processor  # noqa: E402
from timing import Result, interleave  # noqa: E402

from dprnn_lab import DPRNNTasNet, load_model  # noqa: E402
from dprnn_lab.model import dual_path  # noqa: E402
from dprnn_lab.model.precision import computing_in  # noqa: E402

SECONDS, TURNS = (2.0, 3.3, 4.0, 5.0, 6.1, 8.0), 5
NEVER = sys.maxsize  # sequences that no input has


@torch.inference_mode()
def measure(name: str, model: DPRNNTasNet, seconds: float) -> Result:
    """Milliseconds without and with the padding.

    Raises:
        RuntimeError: the outputs differ.
    """
    mixture = 0.1 * torch.randn(1, round(8000 * seconds), generator=torch.Generator().manual_seed(0))

    def forward(most: int) -> torch.Tensor:
        dual_path._ONE_BLOCK = most
        with computing_in("bfloat16"):
            return model(mixture)

    usual = dual_path._ONE_BLOCK
    try:
        if not torch.equal(forward(usual), forward(NEVER)):
            raise RuntimeError(f"{name}, {seconds:g} s: the padding changes the outputs")
        contestants = {"as it is": lambda: forward(NEVER), "padded": lambda: forward(usual)}
        return interleave("blocks", f"{name}, {seconds:g} s", contestants, TURNS)
    finally:
        dual_path._ONE_BLOCK = usual


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    models = {"small": load_model("small"), "large": load_model("large"), "default": DPRNNTasNet()}
    lines = [
        "# Padding the number of sequences in bfloat16",
        "",
        f"`python tests/benchmarks/sequence_blocks.py`, PyTorch {torch.__version__}, {processor()}, one thread,",
        f"load average {os.getloadavg()[0]:.1f} at the start; medians of {TURNS} turns. Outputs are equal to the bit.",
        "",
        "| network, length | as it is | padded | times as fast |",
        "|---|---:|---:|---:|",
    ]
    for name, model in models.items():
        for seconds in SECONDS:
            row = measure(name, model.eval(), seconds)
            before, after = row.values["as it is"], row.values["padded"]
            lines.append(f"| {row.case} | {before:.0f} ms | {after:.0f} ms | {row.ratios['padded']:.2f} |")
            print(lines[-1], flush=True)
    (HERE / "sequence_blocks.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
