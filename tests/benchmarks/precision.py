"""What a lower precision costs in dB: every test mixture and every mixture of unseen voices, both bundled models.

    python tests/benchmarks/precision.py

The variants: bfloat16 in PyTorch, and ONNX files in ONNX Runtime with weights stored in float32, float16 and int8; of
these the size is measured too. The reference is float32 in PyTorch. Writes ``precision.json`` and ``precision.md``
beside this file. Half an hour on a quiet machine; ``--only`` measures some of the variants and keeps the rows of the
others, ``--mixtures`` takes the first few of each set for a try.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # the package of this checkout

import torch  # noqa: E402

from dprnn_lab import PITLossWrapper, load_model, pairwise_neg_sisdr  # noqa: E402
from dprnn_lab.datasets.mixing import FixedMixtures  # noqa: E402
from dprnn_lab.loss import si_sdr  # noqa: E402
from dprnn_lab.model.precision import computing_in, has_bfloat16  # noqa: E402

MODELS, SETS = ("small", "large"), ("test", "unseen")
VARIANTS = ("bfloat16", "onnx-float32", "onnx-float16", "onnx-int8")
SAMPLES = 32_000  # of every mixture in both sets
ROUNDS = 7  # in which reference and variant are timed by turns
Network = Callable[[torch.Tensor], torch.Tensor]  # a mixture [T] to estimates [S, T]
LOSS = PITLossWrapper(pairwise_neg_sisdr)


def network(name: str, variant: str) -> tuple[Network, int | None]:
    """A bundled model in one of the variants, or in "float32"; and the bytes of its file if it is an ONNX file."""
    model = load_model(name).eval()
    if variant.startswith("onnx-"):
        return onnx_network(model, variant.removeprefix("onnx-"))

    def estimates(mixture: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), computing_in(variant):
            return model(mixture).float()

    return estimates, None


def onnx_network(model: torch.nn.Module, weights: str) -> tuple[Network, int]:
    """The model in ONNX Runtime, on as many threads as PyTorch has."""
    import onnxruntime

    from dprnn_lab.separation.onnx_export import export_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, path, SAMPLES, weights=weights)
        content = path.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def estimates(mixture: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(None, {"mixture": mixture[None].numpy()})[0])[0]

    return estimates, len(content)


def relative_time(one: Network, other: Network) -> float:
    """The time of ``one`` by that of ``other`` on a mixture: median of the ratios of rounds by turns."""
    mixture, _, _ = FixedMixtures("test")[0]
    ratios = []
    for _ in range(ROUNDS + 1):
        times = []
        for separated in (one, other):
            start = time.perf_counter()
            separated(mixture)
            times.append(time.perf_counter() - start)
        ratios.append(times[0] / times[1])
    return statistics.median(ratios[1:])  # the first fills caches


def improvement(estimates: torch.Tensor, mixture: torch.Tensor, sources: torch.Tensor) -> float:
    """SI-SDRi (dB) under the best permutation."""
    loss = LOSS(estimates[None], sources[None])
    return float(-loss - si_sdr(mixture.expand_as(sources), sources).mean())


def scores(separated: Network, what: str, count: int | None) -> dict[str, dict[str, float]]:
    """SI-SDRi of every mixture of both sets, by set and id."""
    found: dict[str, dict[str, float]] = {}
    for which in SETS:
        mixtures = FixedMixtures(which)
        found[which] = {}
        for index in range(len(mixtures))[:count]:
            mixture, sources, spec = mixtures[index]
            found[which][spec.id] = improvement(separated(mixture), mixture, sources)
        print(what, which, len(found[which]), file=sys.stderr, flush=True)
    return found


def rows_of(name: str, variant: str, reference: dict, got: dict) -> list[dict]:
    """A row per set: how far the scores fall below the reference's."""
    rows = []
    for which, before in reference.items():
        loss = {key: before[key] - got[which][key] for key in before}
        worst = max(loss, key=lambda key: loss[key])
        rows.append(
            {
                "model": name, "variant": variant, "set": which, "mixtures": len(loss),
                "float32": sum(before.values()) / len(before), "mean loss": sum(loss.values()) / len(loss),
                "worst loss": loss[worst], "worst mixture": worst,
            }
        )  # fmt: skip
    return rows


def table(content: dict) -> str:
    """The rows as Markdown."""
    lines = [
        "# What a lower precision costs", "",
        f"`python tests/benchmarks/precision.py`, PyTorch {content['torch']}; bfloat16 "
        f"{'computed by the processor' if content['has_bfloat16'] else 'emulated'}. SI-SDRi in dB of the bundled "
        "models; the loss is float32 minus the variant on the same mixture, above 0 where the variant is worse. The "
        "time is a multiple of float32's in PyTorch, by turns in one process; the size that of an ONNX file.", "",
        "| model | variant | mixtures | SI-SDRi in float32 | mean loss | worst loss | worst mixture | time | MiB |",
        "|---|---|---|---:|---:|---:|---|---:|---:|",
    ]  # fmt: skip
    for row in content["rows"]:
        lines.append(
            f"| {row['model']} | {row['variant']} | {row['mixtures']} {row['set']} | {row['float32']:.2f} | "
            f"{row['mean loss']:.4f} | {row['worst loss']:.3f} | {row['worst mixture']} | "
            f"{_shown(row.get('time'), 1)} | {_shown(row.get('bytes'), 2**20)} |"
        )
    return "\n".join(lines) + "\n"


def _shown(value: float | None, unit: float) -> str:
    return "" if value is None else f"{value / unit:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS), help="these variants")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS), help="these models")
    parser.add_argument("--mixtures", type=int, help="the first so many of each set")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of precision.json and precision.md")
    options = parser.parse_args()
    file = options.out / "precision.json"
    kept = json.loads(file.read_text())["rows"] if file.is_file() else []
    rows = [row for row in kept if not (row["variant"] in options.only and row["model"] in options.models)]
    for name in options.models:
        plain, _ = network(name, "float32")
        reference = scores(plain, f"{name} float32", options.mixtures)
        for variant in options.only:
            separated, size = network(name, variant)
            facts = {"bytes": size, "time": relative_time(separated, plain)}
            got = scores(separated, f"{name} {variant}", options.mixtures)
            rows += [row | facts for row in rows_of(name, variant, reference, got)]
            write(options.out, rows)  # an interrupted run keeps what it has
    print((options.out / "precision.md").read_text())


def write(folder: Path, rows: list[dict]) -> None:
    """Replace both files."""
    order = [(name, variant) for variant in VARIANTS for name in MODELS]
    rows = sorted(rows, key=lambda row: order.index((row["model"], row["variant"])))
    content = {"torch": torch.__version__.split("+")[0], "has_bfloat16": has_bfloat16(), "rows": rows}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "precision.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "precision.md").write_text(table(content))


if __name__ == "__main__":
    main()
