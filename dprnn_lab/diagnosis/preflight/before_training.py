"""Before any step: shapes, targets that belong to their mixtures, and a loss that points the right way.

What A. Karpathy's "A Recipe for Training Neural Networks" (2019) lists as "become one with the data", "verify loss @
init" and "human baseline": here the baselines are the mixture, noise and silence in place of an estimate, so that the
expectation of any loss comes from the data.

Notebook: 05_training
"""

import math

import torch

from .finding import PreflightFinding, number
from .trial import Clock, Skipped, Trial, TrialError

__all__ = ["check_loss_at_start", "check_loss_direction", "check_outputs", "check_targets"]

MARGIN = 0.25  # over the loss of noise, relative to the distance between noise and a good estimate
EXPLAINED = 0.1  # share of a mixture's energy that its sources must explain ...
OVER_CHANCE = 10.0  # ... or this many times what shifted sources explain (for loud noise)
SILENT_DB = -60.0  # of a source, relative to its mixture
PRESENT = 0.3  # of a source's gain in its mixture, relative to the other sources


def check_outputs(trial: Trial, clock: Clock) -> PreflightFinding:
    """Whether estimates have the shape of the sources, and finite values, at two lengths."""
    name = "outputs"
    mixtures, sources = trial.mixtures, trial.sources
    model = trial.copy()
    with torch.no_grad():
        try:
            estimates = trial.estimates(model, mixtures)
        except TrialError as error:
            return PreflightFinding(
                name, "failure", f"{error}; the mixtures have shape {list(mixtures.shape)}",
                expected="estimates [B, S, T] for mixtures [B, T] or [B, 1, T]",
                remedy="model(mixtures)  # alone, and read the whole traceback",
            )  # fmt: skip
    facts: dict[str, object] = {
        "mixtures": list(mixtures.shape),
        "sources": list(sources.shape),
        "estimates": list(estimates.shape),
        "input": "[B, 1, T]" if trial.channel else "[B, T]",
    }
    expected = "the shape of the sources: the loss compares sample by sample"
    if estimates.shape[1] != sources.shape[1]:
        return PreflightFinding(
            name, "failure", f"the model has {estimates.shape[1]} outputs, and the data {sources.shape[1]} sources",
            facts, expected, f"model = DPRNNTasNet(n_src={sources.shape[1]})  # or data with as many sources",
        )  # fmt: skip
    if estimates.shape[-1] != sources.shape[-1]:
        return PreflightFinding(
            name, "failure", f"estimates have {estimates.shape[-1]} samples, and the sources {sources.shape[-1]}",
            facts, expected, "estimates = torch.nn.functional.pad(estimates, (0, mixtures.shape[-1] - "
            "estimates.shape[-1]))  # at the end of forward; check the padding of the filterbank",
        )  # fmt: skip
    broken = float((~estimates.isfinite()).float().mean())
    if broken:
        return PreflightFinding(
            name, "failure", f"{broken:.1%} of the estimates' samples are not finite before the first step",
            {**facts, "not_finite_share": number(broken)}, "no NaN and no infinity",
            "torch.autograd.set_detect_anomaly(True)  # and look for a division, a log or a root of zero",
        )  # fmt: skip
    samples = trial.small[0].shape[-1]
    other = samples - 37 if samples > 100 else samples
    with torch.no_grad():
        try:
            length = trial.estimates(model, trial.small[0][..., :other]).shape[-1]
        except TrialError as error:
            return PreflightFinding(
                name, "note", f"the model takes {mixtures.shape[-1]} samples, and not {other}: {error}", facts,
                "one length is enough for this training; recordings have others",
            )  # fmt: skip
    if length != other:
        return PreflightFinding(
            name, "failure", f"for {other} samples the estimates have {length}", facts | {"other_length": other},
            "the length of the input, whatever it is: the next data will have another",
            f"estimates = estimates[..., :{other}]  # or padded, at the end of forward, to mixtures.shape[-1]",
        )  # fmt: skip
    return PreflightFinding(
        name, "ok", f"estimates {list(estimates.shape)} for mixtures {list(mixtures.shape)}, finite, as long as the "
        f"input also at {other} samples", facts, expected,
    )  # fmt: skip


def check_targets(trial: Trial, clock: Clock) -> PreflightFinding:
    """Whether the sources of each example are in its mixture, by least squares at lag zero."""
    name = "targets"
    mixtures, sources = (
        trial.mixtures.cpu().double(),
        trial.sources.cpu().double(),
    )  # not every device has float64
    broken = [n for n, t in (("mixtures", mixtures), ("sources", sources)) if not t.isfinite().all()]
    if broken:
        return PreflightFinding(
            name, "failure", f"the {' and '.join(broken)} have samples that are not finite",
            expected="no NaN and no infinity", remedy="assert mixtures.isfinite().all()  # in the dataset",
        )  # fmt: skip
    mixtures = mixtures - mixtures.mean(-1, keepdim=True)
    sources = sources - sources.mean(-1, keepdim=True)
    energy = mixtures.square().sum(-1)
    floor = energy[:, None] * 10 ** (SILENT_DB / 10) + 1e-20
    silent = sources.square().sum(-1) <= floor
    if not bool((energy > 1e-12).all()):
        return PreflightFinding(
            name, "failure", f"{int((energy <= 1e-12).sum())} of {len(mixtures)} mixtures are silent",
            expected="sound in every mixture",
            remedy="mixtures.abs().amax(-1)  # find the items of the dataset",
        )  # fmt: skip
    shares, gains = _explained(mixtures, sources)
    length = mixtures.shape[-1]
    shifted = [_explained(mixtures, sources.roll(length * k // 5, -1))[0] for k in (1, 2, 3, 4)]
    chance = torch.stack(shifted).amax(0)
    lost = (shares < EXPLAINED) & (shares < OVER_CHANCE * chance)
    facts: dict[str, object] = {
        "explained_share": [number(v) for v in shares],
        "explained_by_chance": [number(v) for v in chance],
        "silent_sources": int(silent.sum()),
    }
    expected = f"at least {EXPLAINED:.0%} of a mixture's energy, or {OVER_CHANCE:g} times what shifted sources explain"
    if bool(lost.any()) and not bool(silent.all(1)[lost].all()):
        i = int(lost.float().argmax())
        says = (
            f"in {int(lost.sum())} of {len(lost)} examples the targets are not in the mixture: they explain "
        )
        says += f"{float(shares[i]):.1%} of its energy"
        where = _where(mixtures, sources, i, trial.sample_rate)
        return PreflightFinding(
            name, "failure", says + where, facts, expected,
            "torch.testing.assert_close(sources.sum(1), mixtures)  # in the dataset: pairs of files, seeds, shuffling",
        )  # fmt: skip
    absent = (gains.abs() < PRESENT * gains.abs().amax(1, keepdim=True)) & ~silent
    loud = sources.square().sum(-1)
    absent &= loud > 0.01 * loud.amax(1, keepdim=True)
    if bool(absent.any()):
        example, source = (int(v) for v in absent.nonzero()[0])
        return PreflightFinding(
            name, "failure",
            f"sources[{example}, {source}] is not in mixtures[{example}] ({int(absent.sum())} such sources)",
            facts | {"gains": [[number(g) for g in row] for row in gains]},
            f"a gain over {PRESENT:g} times that of the other sources",
            "torch.testing.assert_close(sources.sum(1), mixtures)  # in the dataset: which file is read twice?",
        )  # fmt: skip
    if float(silent.float().mean()) > 0.5:
        return PreflightFinding(
            name, "warning", f"{float(silent.float().mean()):.0%} of the sources are silent", facts,
            "a minority: SI-SDR of silence is numerically meaningless", "draw segments with speech in them",
        )  # fmt: skip
    return PreflightFinding(
        name, "ok", f"the sources explain {float(shares.min()):.0%} to {float(shares.max()):.0%} of their mixtures",
        facts, expected,
    )  # fmt: skip


def _explained(mixtures: torch.Tensor, sources: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Share of each mixture's energy ``[B]`` that its sources explain, and their gains ``[B, S]``."""
    gram = sources @ sources.mT
    ridge = gram.diagonal(dim1=1, dim2=2).mean(-1).clamp(min=1e-20)[:, None, None] * 1e-9
    gram = gram + ridge * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    products = sources @ mixtures.unsqueeze(-1)
    gains = torch.linalg.solve(gram, products)
    share = (gains * products).sum((1, 2)) / mixtures.square().sum(-1)
    return share.clamp(0, 1), gains[..., 0]


def _where(mixtures: torch.Tensor, sources: torch.Tensor, example: int, rate: float) -> str:
    """Where the targets of one example are instead: in another mixture of the batch, or later in the same one."""
    one = sources[example : example + 1].expand(len(mixtures), -1, -1)
    others = _explained(mixtures, one)[0]
    if float(others.max()) > 0.3:
        return f"; sources[{example}] belong to mixtures[{int(others.argmax())}]"
    size = 2 * mixtures.shape[-1]
    spectrum = torch.fft.rfft(mixtures[example], size)
    norm = mixtures[example].norm() * sources[example].norm(dim=-1).clamp(min=1e-12)
    lags = torch.fft.irfft(torch.fft.rfft(sources[example], size) * spectrum.conj(), size) / norm[:, None]
    best = lags.abs().amax(0)
    if float(best.max()) > 0.3:
        lag = int(best.argmax())
        lag = lag - size if lag > size // 2 else lag
        return f"; they are in it, {abs(lag) / rate * 1000:.0f} ms {'late' if lag > 0 else 'early'} ({lag} samples)"
    return ""


def check_loss_direction(trial: Trial, clock: Clock) -> PreflightFinding:
    """Whether a good estimate costs less than noise."""
    name = "loss-direction"
    try:
        losses = trial.references()
    except TrialError as error:
        return PreflightFinding(
            name, "failure", str(error), expected="a number for estimates and targets [B, S, T]",
            remedy="loss = PITLossWrapper(pairwise_neg_sisdr)",
        )  # fmt: skip
    facts: dict[str, object] = {
        f"loss_of_{k.replace(', ', '_').replace(' ', '_')}": number(v) for k, v in losses.items()
    }
    good, noise, mixture = losses["good"], losses["noise"], losses["mixture"]
    expected = "the target with noise at 20 dB costs less than noise alone"
    if not (math.isfinite(good) and math.isfinite(noise)):
        return PreflightFinding(
            name, "failure", f"the loss of a good estimate is {good:g}, of noise {noise:g}", facts, "finite numbers",
            "add a small constant inside each division and logarithm of the loss",
        )  # fmt: skip
    if abs(good - noise) <= 1e-6 * max(abs(good), abs(noise), 1e-12):
        return PreflightFinding(
            name, "failure", f"the loss does not depend on the estimates: {good:.4g} for a good one and for noise",
            facts, expected, "loss = PITLossWrapper(pairwise_neg_sisdr)  # and return what it computes",
        )  # fmt: skip
    if good > noise:
        return PreflightFinding(
            name, "failure", f"a good estimate costs {good:.3g}, noise {noise:.3g}: the sign of the loss is turned",
            facts, expected, "loss = lambda estimates, sources: -your_loss(estimates, sources)",
        )  # fmt: skip
    target = losses["target"]
    if math.isfinite(target) and target > mixture + 0.01 * (noise - good):
        return PreflightFinding(
            name, "warning", f"the true sources cost {target:.3g}, the mixture in their place {mixture:.3g}", facts,
            "the true sources cost least", "loss(sources, sources)  # should be the smallest value there is",
        )  # fmt: skip
    says = f"a good estimate costs {good:.3g}, the mixture {mixture:.3g}, noise {noise:.3g}"
    swapped = losses["good, other order"]
    if trial.sources.shape[1] > 1 and swapped > good + 0.05 * (noise - good):
        return PreflightFinding(
            name, "note", f"{says}; in another order a good one costs {swapped:.3g}: the loss expects a fixed order of "
            "the sources", facts, expected, "loss = PITLossWrapper(...)  # unless the order can be heard",
        )  # fmt: skip
    return PreflightFinding(name, "ok", says, facts, expected)


def check_loss_at_start(trial: Trial, clock: Clock) -> PreflightFinding:
    """The loss before the first step, between those of the stand-ins."""
    name = "loss-at-start"
    try:
        losses = trial.references()
    except TrialError as error:
        raise Skipped("the loss raises an exception") from error
    with torch.no_grad():
        start = trial.value(trial.estimates(trial.copy(), trial.mixtures), trial.sources)
    good, noise, mixture = losses["good"], losses["noise"], losses["mixture"]
    trial.facts["start"] = start
    facts: dict[str, object] = {"loss": number(start)}
    facts |= {f"loss_of_{k}": number(losses[k]) for k in ("good", "mixture", "noise", "silence")}
    worst = max(mixture, noise)
    limit = worst + MARGIN * abs(noise - good)
    expected = (
        f"below {limit:.3g}: a new network is as good as noise ({noise:.3g}) or the mixture ({mixture:.3g})"
    )
    if not math.isfinite(start):
        return PreflightFinding(
            name, "failure", f"the loss at the start is {start:g}", facts, expected,
            "torch.autograd.set_detect_anomaly(True)",
        )  # fmt: skip
    if start > limit:
        return PreflightFinding(
            name, "warning", f"the loss at the start is {start:.3g}, that of noise in their place {noise:.3g}",
            facts, expected, "estimates.square().mean(-1)  # beside that of the sources: too loud, or silent?",
        )  # fmt: skip
    how = ""
    if start < min(mixture, noise, losses["silence"]) - 0.02 * abs(noise - good):
        how = ": the model has been trained already"
    return PreflightFinding(name, "ok", f"the loss at the start is {start:.3g}{how}", facts, expected)
