"""How reliable is the diagnosis? Many healthy cases, every failure several times, pairs of failures.

    python -m dprnn_lab.faults.bench            # runs all and writes tests/diagnosis/README.md

Notebook: 06_failures_at_inference
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ..checkpoint import load_model, save_asteroid, save_model
from ..datasets.mixing import FixedMixtures
from ..diagnosis.catalogue import CATALOGUE
from ..diagnosis.evidence import best_order
from ..evaluation import BASELINES, evaluate
from ..files import write_whole
from ..loss import si_sdr
from . import FAULTS, inject
from .case import Case
from .healthy import healthy_case, healthy_training

__all__ = ["PAIRS", "Result", "fault_cases", "healthy_cases", "pair_cases", "render"]

ROOT = Path(__file__).resolve().parents[2]
WIDE_MODEL = ROOT / "tests" / "diagnosis" / "models" / "wide.safetensors"
# The bundled model separates many recordings in either polarity; this one minds it, as most trained networks do.
MINDS_POLARITY = ROOT / "data" / "model" / "six-voices" / "small.safetensors"
MIN_CASES = 5  # of each failure
FIRST_SEED = 415  # the thresholds were set on seeds below 300 and corrected on 315 to 400
TRAINING = (
    "sign-of-loss", "detached-loss", "pit-wrong-axis", "no-pit", "silent-target", "targets-inconsistent",
    "same-speaker", "leakage", "nan-run", "no-clipping", "learning-rate", "resume", "overfit", "plateau-reading",
    "unhealthy-curve",
)  # fmt: skip
# Remix consistency hardly distinguishes a weak model from a broken one: these use the bundled model.
BUNDLED_MODEL = (
    "config-silent", "domain-mismatch", "polarity", "train-serve-skew", "rate-mismatch", "permutation-flip",
    "seam-artefact", "eval-mode", "dead-output", "unseen-speakers", "late-estimates", "one-speaker",
    "references-mismatch",
)  # fmt: skip
PAIRS = [
    (("weights-unmatched", "no-file"), ("channels", "twice")),
    (("weights-unmatched", "lightning"), ("level", "sixteen-bit")),
    (("weights-unmatched", "parallel"), ("rate-mismatch", "wrong-samples")),
    (("weights-partial", "random-block"), ("not-finite", "nan-sample")),
    (("weights-partial", "random-ends"), ("channels", "opposite")),
    (("weights-partial", "missing-block"), ("length", "50-ms")),
    (("weights-corrupt", "truncated"), ("silence", "zeros")),
    (("weights-corrupt", "nan-model"), ("level", "clipped")),
    (("weights-unsafe", "system"), ("channels", "stereo-file")),
    (("config-shape", "bottleneck-given"), ("rate-mismatch", "wrong-file")),
    (("config-shape", "hidden-in-file"), ("level", "offset")),
    (("config-silent", "mask-relu"), ("level", "sixteen-bit")),
    (("config-silent", "stride-doubled"), ("channels", "twice")),
    (("config-silent", "norm-cln"), ("not-finite", "nan-stretch")),
    (("level", "offset"), ("channels", "opposite")),
    (("channels", "two-microphones"), ("not-finite", "nan-sample")),
    (("rate-mismatch", "wrong-samples"), ("level", "too-loud")),
    (("rate-mismatch", "wrong-samples"), ("channels", "transposed")),
    (("sources-count", "three-stated"), ("level", "clipped")),
    (("polarity", "inverted"), ("order-arbitrary", "flipped")),
    (("polarity", "inverted"), ("level", "offset")),
    (("relative-level-lost", "peaks"), ("order-arbitrary", "flipped")),
    (("scale-free", "too-loud"), ("order-arbitrary", "flipped")),
    (("seam-artefact", "gaps-0.5-s"), ("order-arbitrary", "flipped")),
    (("eval-mode", "dropout"), ("channels", "twice")),
    (("no-pit", "fixed-order"), ("targets-inconsistent", "normalised")),
    (("pit-wrong-axis", "mean-first"), ("silent-target", "zero")),
    (("leakage", "copied"), ("same-speaker", "named")),
    (("overfit", "fixed-list"), ("no-pit", "loop")),
    (("learning-rate", "low"), ("targets-inconsistent", "noisy-mixture")),
    (("plateau-reading", "unnamed-clusters"), ("targets-inconsistent", "shifted")),
    (("plateau-reading", "in-a-file"), ("no-pit", "mse")),
]


@dataclass(frozen=True)
class Result:
    """One diagnosis."""

    label: str
    injected: tuple[str, ...]
    named: tuple[str, ...]  # failures, warnings and notes in the order of the report
    failed: tuple[str, ...]  # failures that no other finding explains
    seconds: float

    @property
    def first(self) -> bool:
        """Whether the report begins with an injected failure."""
        return bool(self.named) and self.named[0] in self.injected

    @property
    def all_named(self) -> bool:
        """Whether the report names every injected failure."""
        return set(self.injected) <= set(self.named)


def judge(label: str, injected: tuple[str, ...], case: Case) -> Result:
    """Diagnose a case, and time it."""
    start = time.monotonic()
    findings = case.diagnose().findings
    return Result(
        label,
        injected,
        tuple(f.id for f in findings if f.named),
        tuple(f.id for f in findings if f.state == "fail" and not f.explained_by),
        time.monotonic() - start,
    )


def healthy_cases(folder: Path, count: int | None = None, first_seed: int = 0) -> Iterator[tuple[str, Case]]:
    """Two shapes of model, five kinds of file, live or not, with and without references and estimates."""
    plain = healthy_case(0).model
    asteroid = save_asteroid(plain, folder / "asteroid.pth")
    lightning = folder / "last.ckpt"
    torch.save(
        {
            "state_dict": {f"model.{k}": v for k, v in plain.state_dict().items()},
            "model_config": dict(plain.config),
            "pytorch-lightning_version": "2.5.0",
        },
        lightning,
    )
    bare = folder / "bare.pth"
    torch.save(plain.state_dict(), bare)
    again = save_model(load_model(asteroid), folder / "again.safetensors")
    kinds = ("man-woman", "man-woman", "woman-woman")
    seeds = itertools.count(first_seed)

    forms = [
        ("ours, live and file", {}, {}),
        ("Asteroid's package", {"model": None, "checkpoint": asteroid}, {}),
        ("Lightning checkpoint", {"model": None, "checkpoint": lightning}, {}),
        (
            "weights alone, config given",
            {"model": None, "checkpoint": bare, "config": dict(plain.config)},
            {},
        ),
        ("saved again", {"model": None, "checkpoint": again}, {}),
        ("live model alone", {"checkpoint": None}, {}),
        ("no references", {"references": None}, {}),
        ("no estimates", {"estimates": None}, {}),
        ("mixture alone", {"references": None, "estimates": None, "model": None}, {}),
        ("rate not given", {"sample_rate": None}, {}),
        ("two seconds", {}, {"seconds": 2.0}),
        ("voices 5 dB apart", {}, {"level_db": 5.0}),
    ]
    made = 0
    for turn in range(2):
        for i, (label, changes, options) in enumerate(forms):
            if made == count:
                return
            made += 1
            yield f"{label} ({turn})", _separated(seeds, kinds[(i + turn) % 3], **options).change(**changes)
    if count is None:
        for seed in range(2):
            yield (
                f"wide model ({seed})",
                _separated(itertools.count(first_seed + 3 * seed), "man-woman", model=WIDE_MODEL),
            )
        for seed in range(3):
            yield f"training ({seed})", healthy_training(first_seed + seed)
        masks = evaluate(BASELINES["irm"](), FixedMixtures("test", limit=24))
        yield "scores of ideal masks", Case(scores=masks)
        ours = evaluate(plain, FixedMixtures("test", kind="man-woman", limit=24))
        yield "scores of the bundled model, man-woman", Case(scores=ours)


def _separated(seeds: Iterator[int], kind: str, **options) -> Case:
    """The healthy case of the first seed whose mixture the model improves by at least 3 dB."""
    for seed in seeds:
        case = healthy_case(seed, kind, **options)
        after = si_sdr(best_order(case.estimates, case.references), case.references).mean()
        if after - si_sdr(case.mixture[None], case.references).mean() >= 3:
            return case
    raise ValueError("the model improves no mixture of these seeds by 3 dB")


def base_case(failure: str, seed: int, folder: Path) -> Case:
    """The healthy case into which a failure is injected."""
    if failure in TRAINING:
        return healthy_training(seed).change(folder=folder)
    model = WIDE_MODEL if failure not in BUNDLED_MODEL and seed % MIN_CASES == 3 else None
    if failure == "polarity":
        model = MINDS_POLARITY
    return _separated(itertools.count(seed), "man-woman", model=model, folder=folder)


def fault_cases(
    folder: Path, failure: str, least: int = MIN_CASES, first_seed: int = 0
) -> Iterator[tuple[str, Case]]:
    """Every variant, in at least ``least`` cases, each with its own seed, strength and mixture."""
    variants = list(FAULTS[failure])
    for turn in range(max(least, len(variants))):
        variant, seed = variants[turn % len(variants)], first_seed + turn
        base = base_case(failure if variant != "curve" else "no-clipping", seed, folder / f"{failure}-{seed}")
        yield variant, inject(failure, base, seed, strength=(turn % 5) / 4, variant=variant)


def pair_cases(folder: Path, first_seed: int = 0) -> Iterator[tuple[tuple[str, str], Case]]:
    """Two failures at once."""
    for seed, (first, second) in enumerate(PAIRS, first_seed):
        minds = MINDS_POLARITY if "polarity" in (first[0], second[0]) else None
        base = (
            healthy_training(seed)
            if first[0] in TRAINING
            else _separated(itertools.count(seed), "man-woman", model=minds)
        )
        case = base.change(folder=folder / f"pair-{seed}")
        for failure, variant in (first, second):
            case = inject(failure, case, seed, variant=variant)
        yield (first[0], second[0]), case


def render(healthy: list[Result], faults: list[Result], pairs: list[Result]) -> str:
    """The tables, as Markdown."""
    false = [r for r in healthy if r.failed]
    warned = [r for r in healthy if r.named and not r.failed]
    named, first = sum(r.all_named for r in faults), sum(r.first for r in faults)
    both = sum(r.all_named for r in pairs)
    lines = [
        "# How reliable the diagnosis is\n",
        "Written by `make bench-diagnosis` (`dprnn_lab/faults/bench.py`). Real speech of the test list; the bundled "
        "model, a wider one of another shape (`models/wide.safetensors`, trained for 1 798 steps), the network of "
        "six voices where polarity is inverted, and the bundled weights in five kinds of file. A case is healthy when "
        "its model improves its mixture by 3 dB or more. "
        f"Seeds from {FIRST_SEED} on, not used to set the thresholds; the test list has 40 mixtures of a kind, so the "
        "same mixtures were used with other random draws.\n",
        "| | goal | measured |",
        "|---|---|---|",
        f"| failure named first | 95 % | {first / len(faults):.1%} ({first} of {len(faults)}) |",
        f"| failure named at all | 100 % | {named / len(faults):.1%} ({named} of {len(faults)}) |",
        f"| healthy cases with a false failure | 0 | {len(false)} of {len(healthy)} |",
        f"| healthy cases with a warning | few | {len(warned)} of {len(healthy)} |",
        f"| pairs, both named | 90 % | {both / len(pairs):.1%} ({both} of {len(pairs)}) |",
        "",
        "## Confusion: the injected failure, and the failure named first\n",
        "| injected | cases | named | first | named first instead | other unexplained failures |",
        "|---|---|---|---|---|---|",
    ]
    for failure in CATALOGUE:
        mine = [r for r in faults if r.injected == (failure,)]
        if not mine:
            continue
        instead = Counter(r.named[0] if r.named else "nothing" for r in mine if not r.first)
        others = Counter(name for r in mine for name in r.failed if name != failure)
        lines.append(
            f"| `{failure}` | {len(mine)} | {sum(r.all_named for r in mine)} | {sum(r.first for r in mine)} | "
            f"{_counts(instead)} | {_counts(others)} |"
        )
    lines += ["", "## Pairs\n", "| injected | both named | the report, in its order |", "|---|---|---|"]
    lines += [
        f"| {' + '.join(r.injected)} | {'yes' if r.all_named else '**no**'} | {', '.join(r.named) or 'nothing'} |"
        for r in pairs
    ]
    lines += ["", "## Healthy cases\n", "| case | named |", "|---|---|"]
    lines += [f"| {r.label} | {', '.join(r.named) or 'nothing'} |" for r in healthy]
    return "\n".join(lines) + "\n"


def _counts(names: Counter) -> str:
    return ", ".join(f"{name} {count}" for name, count in names.most_common()) or "–"


def main() -> int:
    """Run all cases; exit status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "diagnosis" / "README.md")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--only", nargs="*", help="run only these failures, and write nothing")
    options = parser.parse_args()
    healthy, faults, pairs = [], [], []

    def say(result: Result) -> None:
        print(
            f"{result.seconds:6.1f} s  {result.label:44} {', '.join(result.named) or 'nothing'}", flush=True
        )

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for failure in options.only or CATALOGUE:
            for variant, case in fault_cases(folder, failure, first_seed=options.first_seed):
                faults.append(judge(f"{failure} {variant}", (failure,), case))
                say(faults[-1])
        if not options.only:
            for label, case in healthy_cases(folder, first_seed=options.first_seed):
                healthy.append(judge(label, (), case))
                say(healthy[-1])
            for names, case in pair_cases(folder, options.first_seed):
                pairs.append(judge(" + ".join(names), names, case))
                say(pairs[-1])
    if options.only:
        return 0
    text = render(healthy, faults, pairs)
    write_whole(options.out, text.encode())
    print(text)
    missed = (
        any(r.failed for r in healthy)
        or not all(r.all_named for r in faults)
        or sum(r.first for r in faults) < 0.95 * len(faults)
        or sum(r.all_named for r in pairs) < 0.9 * len(pairs)
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
