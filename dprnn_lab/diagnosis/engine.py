"""Run every check in the order of suspicion, and sort the findings for the report.

Notebook: 06_failures_at_inference
"""

import platform
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from .catalogue import CATALOGUE
from .checks import CHECKS
from .evidence import Evidence
from .finding import STATES, Finding
from .inputs import FilePath, Inputs, Samples
from .report import Report
from .untouched import Snapshot, plain_mode

__all__ = ["FOLLOWS", "diagnose", "sort_findings"]

# By failure: those that bring it about. A finding is folded under the first of them that was found.
FOLLOWS: dict[str, tuple[str, ...]] = {
    "detached-loss": ("sign-of-loss",),
    "pit-wrong-axis": ("sign-of-loss",),
    "no-pit": ("pit-wrong-axis", "sign-of-loss"),
    "no-clipping": ("nan-run",),
    "dead-output": ("nan-run",),
    "overfit": ("pit-wrong-axis", "leakage", "sign-of-loss"),
    "unhealthy-curve": ("nan-run", "sign-of-loss", "detached-loss"),
}


def diagnose(
    model: FilePath | nn.Module | None = None,
    mixture: FilePath | Samples | None = None,
    sample_rate: float | None = None,
    references: Samples | None = None,
    estimates: Samples | None = None,
    *,
    checkpoint: FilePath | None = None,
    config: Mapping | None = None,
    speakers: int | None = None,
    reported: float | None = None,
    run: FilePath | pd.DataFrame | None = None,
    batch: Sequence[Samples] | None = None,
    loss: Callable | None = None,
    data: FilePath | Mapping[str, Sequence] | None = None,
    scores: FilePath | pd.DataFrame | Mapping | Samples | None = None,
) -> Report:
    """Why does it not separate? Give whatever you have; each input decides more checks.

    Args:
        model: a checkpoint (path or hub id), or a live model of this package or Asteroid. No code in a file is run.
            A live model is left as it was: weights, buffers, modes, gradients and random numbers; a copy is run.
        mixture: a path, or samples ``[T]`` or ``[channels, T]``, floating point in -1 to 1 or int16, int32.
        sample_rate: of ``mixture`` in Hz; a file has its own. None for samples: the model's rate is assumed, and
            other rates are tried.
        references: the true sources, ``[S, T]`` or a list of paths.
        estimates: the outputs you got, ``[S, T]`` or a list of paths: checks the steps after the model too.
        checkpoint: the file from which a live ``model`` was loaded.
        config: the arguments that you pass to ``load_model`` beside the path.
        speakers: the number of people in the mixture.
        reported: the SI-SDR or loss (dB) that your own code reports.
        run: the folder of a training run (``curves/version_N/metrics.csv``, ``checkpoints/``), a CSV file or a
            table with the columns ``step, train_loss, valid_loss, grad_norm, si_sdri_<kind>``.
        batch: ``(mixtures [B, T], sources [B, S, T])`` as your training receives them.
        loss: your loss function, ``loss(estimates [B, S, T], sources [B, S, T])``; it is called with probe signals,
            of as many sources as the batch or the model has, and may return a tensor, a tuple or a dictionary.
        data: lists of training and test material: see :func:`dprnn_lab.diagnosis.training_evidence.read_data`.
        scores: of single examples: a table of :func:`dprnn_lab.evaluation.evaluate`, its ``scores.csv`` or the
            folder with it, or SI-SDRi (dB) as arrays, ``{kind: [...]}``; None for those of the last validation in
            the run's folder.

    Returns:
        A :class:`Report`: ``report.findings``, likeliest cause first. It prints, displays in a notebook, and has
        ``to_json()``.

    Raises:
        CheckpointError, AudioError: no such file; a file or array that is not audio.
        TypeError, ValueError: an input of the wrong type, or without content.
    """
    given = Inputs(**locals())  # the arguments, by name
    live = model if isinstance(model, nn.Module) else None
    with plain_mode(live):
        modules = [m for m in (live, loss) if isinstance(m, nn.Module)]
        before = Snapshot(modules)
        try:
            evidence = Evidence(given)
            if evidence.network is not None and evidence.network is not live:
                modules.append(evidence.network)
            snapshot = Snapshot(modules)
            for name in CATALOGUE:
                try:
                    evidence.found[name] = _run_check(name, evidence)
                finally:
                    snapshot.restore()
        finally:
            before.restore()
    return Report(sort_findings(list(evidence.found.values())), evidence)


def _run_check(name: str, evidence: Evidence) -> Finding:
    try:
        return CHECKS[name](evidence)
    except Exception as error:  # one check that fails on unusual input must not hide the other findings
        return _crashed(name, error)


def _crashed(name: str, error: Exception) -> Finding:
    """The finding on a check that raised: what it raised, where, and how to report it."""
    first = str(error).splitlines()[0] if str(error) else ""
    calls = traceback.extract_tb(error.__traceback__)
    where = [f"{Path(call.filename).name}:{call.lineno} {call.name}" for call in calls][-6:]
    return Finding(
        name,
        "error",
        f"the check itself failed: {type(error).__name__}: {first}",
        {"error": type(error).__name__, "message": str(error)[:500], "calls": where, "versions": _versions()},
        "none: a check must not raise, whatever the input",
        bring=f"this line and `calls` from to_json(), in an issue of the project ({_versions()})",
    )


def _versions() -> str:
    try:
        own = metadata.version("dprnn-lab")
    except metadata.PackageNotFoundError:  # run from its folder, without being installed
        own = "not installed"
    return f"dprnn-lab {own}, torch {torch.__version__}, Python {platform.python_version()}"


def sort_findings(findings: Sequence[Finding]) -> list[Finding]:
    """By state, then causes before their consequences and symptoms, then by suspicion.

    A finding that follows from another failure gets that failure as its ``explained_by``: as its check says, else as
    :data:`FOLLOWS` says. A symptom that neither explains is explained by the first cause.
    """
    order = list(CATALOGUE)
    failed = {f.id for f in findings if f.state == "fail" and not f.entry.symptom}
    linked = [
        replace(f, explained_by=next((c for c in FOLLOWS.get(f.id, ()) if c in failed), None))
        if f.bad and not f.explained_by
        else f
        for f in findings
    ]
    causes = [f.id for f in linked if f.state == "fail" and not f.entry.symptom and not f.explained_by]
    cause = min(causes, key=order.index, default=None)
    resolved = [
        replace(f, explained_by=cause) if f.bad and f.entry.symptom and not f.explained_by else f
        for f in linked
    ]
    return sorted(
        resolved,
        key=lambda f: (STATES.index(f.state), f.explained_by is not None, f.entry.symptom, order.index(f.id)),
    )
