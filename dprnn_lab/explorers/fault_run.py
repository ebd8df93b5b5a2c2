"""One injected failure of the catalogue: its effect on sound and numbers, and the report on it.

Notebooks: 06_failures_at_inference, 07_failures_in_training
"""

import os
import random
from dataclasses import dataclass, fields

import torch

from ..audio import correlation, read_audio
from ..checkpoint import load_model
from ..diagnosis import CATALOGUE, Report
from ..diagnosis.evidence import best_order
from ..diagnosis.mixture import SILENT_PEAK, as_signals
from ..diagnosis.training_evidence import read_data, read_run
from ..faults import FAULTS, Case, has_strength, healthy_case, healthy_training, inject
from ..loss import si_sdr
from ..model import DPRNNTasNet

__all__ = ["FaultRun", "Outcome", "choose_hidden", "improvement", "outcome", "run_fault"]

MAX_SECONDS = 60.0  # that are separated in one pass here
EXAMPLE = ("mixture", "target 1", "target 2")  # names of the sounds of a training example


@dataclass(frozen=True)
class Outcome:
    """The sounds and measurements of a case, as its user would get them."""

    sounds: dict[str, torch.Tensor]  # name to [T]: mixture and outputs; of a training, mixture and targets
    facts: dict[str, str]  # measurements, in words
    outputs: torch.Tensor | None  # [S, T]
    improvement: float | None  # SI-SDRi in the best order, dB
    missing: str = ""  # why there are no outputs


@dataclass(frozen=True)
class FaultRun:
    """An injected failure: the case before and after, and the report on it."""

    failure: str
    variant: str
    strength: float
    healthy: Outcome
    broken: Outcome
    report: Report
    references: dict[str, torch.Tensor]  # name to [T]

    @property
    def named(self) -> str | None:
        """The failure that the report names first."""
        found = self.report.causes or self.report.notes
        return found[0].id if found else None

    @property
    def right(self) -> bool:
        """Whether that is the injected failure."""
        return self.named == self.failure

    def sentence(self) -> str:
        """The injected failure, the one that the report named first, and whether they agree."""
        degree = f", strength {self.strength:g}" if has_strength(self.failure, self.variant) else ""
        said = f"named {self.named} first" if self.named else "named nothing"
        verdict = "right" if self.right else "wrong: read on for its evidence"
        if not self.right and any(f.id == self.failure for f in [*self.report.causes, *self.report.notes]):
            verdict = "the injected one is further down"
        return f"Injected: {self.failure}, variant {self.variant}{degree}. The report {said}: {verdict}."


def run_fault(
    failure: str,
    variant: str | None = None,
    strength: float = 0.5,
    kind: str = "man-woman",
    number: int = 0,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
    model: str | os.PathLike | DPRNNTasNet | None = None,
) -> FaultRun:
    """Break a healthy case and diagnose it.

    Args:
        failure: an id of the catalogue.
        variant: one of ``FAULTS[failure]``; None for the first.
        strength: 0 to 1, for faults that have degrees.
        kind: "man-woman", "woman-woman" or "seen-unseen".
        number: which mixture of the kind, modulo their number; for a training, which batch and lists.
        seed: of everything random in the fault.
        folder: where the fault may write files; None for a temporary one.
        model: a file or a model; None for the bundled one.

    Raises:
        ValueError: an unknown failure, variant or kind, or a strength out of range.
    """
    with torch.random.fork_rng():  # new networks, and dropout, draw random numbers
        torch.manual_seed(seed)
        return _run(failure, variant, strength, kind, number, seed, folder, model)


def _run(failure, variant, strength, kind, number, seed, folder, model) -> FaultRun:
    healthy = healthy_case(number, kind, model, folder)
    if failure in CATALOGUE and CATALOGUE[failure].group == "E":
        # Recording and training in one case, so that faults of either can be injected.
        taught = healthy_training(number)
        names = [f.name for f in fields(healthy) if getattr(healthy, f.name) is None]
        healthy = healthy.change(**{name: getattr(taught, name) for name in names})
    first = next(iter(FAULTS.get(failure, {})), None)
    broken = inject(failure, healthy, seed, strength, variant or first)
    part = _changed_part(healthy, broken)
    before, after = outcome(healthy, part), outcome(broken, part)
    known = broken.references if broken.references is not None else broken.truth
    references = {} if known is None else {f"reference {i}": s for i, s in enumerate(known, 1)}
    return FaultRun(failure, broken.variant, strength, before, after, broken.diagnose(), references)


def choose_hidden(groups: str = "ABCD", seed: int = 0) -> tuple[str, str, float, int]:
    """A random failure, variant, strength and mixture number, to be guessed.

    Raises:
        ValueError: no failure in these groups.
    """
    names = [entry.id for entry in CATALOGUE.values() if entry.group in groups]
    if not names:
        raise ValueError(f"groups is {groups!r}: give some of the letters A to E")
    rng = random.Random(f"hidden {seed}")
    failure = rng.choice(names)
    return failure, rng.choice(list(FAULTS[failure])), rng.choice([0.25, 0.5, 1.0]), rng.randrange(40)


def _changed_part(healthy: Case, broken: Case) -> str:
    """What a fault changed: the "recording", a "batch", a list of "data", or only the "run"."""

    def changed(*names: str) -> bool:
        return any(getattr(broken, name) is not getattr(healthy, name) for name in names)

    if changed("model", "checkpoint", "mixture", "references", "estimates"):
        return "recording"
    return next((part for part in ("batch", "data") if changed(part)), "run")


def outcome(case: Case, part: str = "recording") -> Outcome:
    """The sounds and measurements of a case.

    Args:
        case: healthy or broken.
        part: "recording", or of a training its "batch", its lists ("data") or its "run".
    """
    if part == "recording":
        return _of_recording(case)
    if part == "batch":
        mixtures, sources = case.batch
        targets = sources[0]
        off = (mixtures - sources.sum(1)).abs().max()
        energy = sources.square().mean(-1)
        quietest = 10 * torch.log10((energy.min() + 1e-20) / energy.max().clamp(min=1e-20))
        facts = {
            "batch": f"{list(mixtures.shape)}, targets {list(sources.shape)}",
            "largest difference of mixture and sum": f"{float(off):.2g}",
            "quietest target under the loudest": f"{float(quietest):.0f} dB",
        }
        return Outcome(dict(zip(EXAMPLE, (mixtures[0], *targets), strict=False)), facts, None, None)
    if part == "data":
        examples = read_data(case.data)
        splits = {e.split: sum(o.split == e.split for o in examples) for e in examples}
        counts = ", ".join(f"{n} {split}" for split, n in splits.items())
        sources = examples[0].sources
        sounds = dict(zip(EXAMPLE, (sources.sum(0), *sources), strict=False))
        return Outcome(sounds, {"examples": counts}, None, None)
    run = read_run(case.run)
    facts = {}
    for column, name in (("train_loss", "last training loss"), ("valid_loss", "last validation loss")):
        values = run.column(column)
        if len(values):
            facts[name] = f"{values.iloc[-1]:.1f} dB at step {values.index[-1]:.0f}"
    norms = run.column("grad_norm")
    if len(norms):
        facts["largest gradient norm"] = f"{norms.max():.3g}"
    facts["loss of good estimates, and in the other order"] = _losses(case)
    return Outcome({}, facts, None, None, "this failure is in the training: look at the curve and the report")


def _losses(case: Case) -> str:
    """The loss of sources with some of another example added, in both orders."""
    _, sources = case.batch
    good = sources + 0.3 * sources.roll(1, 0)
    try:
        return ", ".join(f"{float(case.loss(e, sources)):.1f}" for e in (good, good.flip(1)))
    except Exception as error:  # a user's loss may raise anything, which is shown
        return f"it raises {type(error).__name__}"


def _of_recording(case: Case) -> Outcome:
    samples, rate = _samples(case)
    outputs, missing = _outputs(case, samples, rate)
    facts = {
        "mixture": f"{list(samples.shape)} at {rate:g} Hz{'' if case.sample_rate or _is_file(case) else ' (assumed)'}",
        "mixture's peak and mean": f"{float(samples.abs().max()):.3g}, {float(samples.mean()):.3g}",
    }
    if outputs is None:
        facts["outputs"] = missing
        return Outcome({"mixture": _mono(samples)}, facts, None, None, missing)
    peaks = ", ".join(f"{float(p):.3g}" for p in outputs.abs().amax(-1))
    facts["outputs' peaks"] = peaks
    if len(outputs) > 1:
        facts["correlation of the outputs"] = f"{correlation(outputs, undefined=0.0):.2f}"
    mixture, known = _mono(samples), case.truth if case.references is None else case.references
    gained = None
    if case.speakers in (None, len(outputs)) and known is not None and known.shape == outputs.shape:
        gained = improvement(outputs, known, mixture)
    if gained is not None:
        given = float(si_sdr(outputs, known).mean() - si_sdr(mixture[None], known).mean())
        facts["SI-SDRi, best order"] = f"{gained:.1f} dB"
        facts["SI-SDRi, order given"] = f"{given:.1f} dB"
    sounds = {"mixture": mixture} | {f"output {i}": s for i, s in enumerate(outputs, 1)}
    return Outcome(sounds, facts, outputs, gained)


def improvement(outputs: torch.Tensor, sources: torch.Tensor, mixture: torch.Tensor) -> float | None:
    """SI-SDRi (dB) of ``[S, T]`` under the best order, mean over sources.

    None where it is undefined: a signal that is not finite, a silent mixture or source.

    Raises:
        ValueError: shapes that differ.
    """
    if outputs.shape != sources.shape or mixture.shape != sources.shape[-1:]:
        raise ValueError(
            f"outputs {list(outputs.shape)}, sources {list(sources.shape)} and mixture {list(mixture.shape)} do not "
            "fit: give [S, T], [S, T] and [T]"
        )
    if not all(bool(s.isfinite().all()) for s in (outputs, sources, mixture)):
        return None
    if min(float(s.sub(s.mean()).abs().max()) for s in (mixture, *sources)) < SILENT_PEAK:
        return None
    after = si_sdr(best_order(outputs, sources), sources).mean()
    return float(after - si_sdr(mixture[None], sources).mean())


def _is_file(case: Case) -> bool:
    return isinstance(case.mixture, (str, os.PathLike))


def _samples(case: Case) -> tuple[torch.Tensor, float]:
    """The mixture as given, ``[T]`` or ``[channels, T]``, and the rate that its user assumes."""
    if _is_file(case):
        samples, rate = read_audio(case.mixture)
        return (samples[0] if len(samples) == 1 else samples), rate
    return case.mixture, case.sample_rate or 8000


def _mono(samples: torch.Tensor) -> torch.Tensor:
    """The mean over channels, as users often take it unchecked."""
    return samples if samples.dim() == 1 else samples.mean(0 if samples.shape[0] < samples.shape[1] else 1)


@torch.no_grad()
def _outputs(case: Case, samples: torch.Tensor, rate: float) -> tuple[torch.Tensor | None, str]:
    """The estimates of the case, else those of its model on the samples as given; or None and the reason."""
    model = case.model
    if case.estimates is not None and not (model is not None and model.training):
        return as_signals(case.estimates, "estimates"), ""
    if model is None:
        if case.checkpoint is None:
            return None, "there is no model yet"
        try:
            model = load_model(case.checkpoint, report=True, **case.config)[0]
        except (ValueError, TypeError) as error:
            return None, f"the model does not load: {str(error).removeprefix(f'{case.checkpoint}: ')}"
    seconds = samples.shape[-1] / rate
    if seconds > MAX_SECONDS:
        return None, f"{seconds:.0f} s are not separated here in one pass"
    return model(_mono(samples)), ""
