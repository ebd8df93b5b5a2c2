"""Run every check in the order of suspicion, and sort the findings for the report.

Notebook: 06_failures_at_inference
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pandas as pd
from torch import nn

from .catalogue import CATALOGUE
from .checks import CHECKS
from .evidence import Evidence
from .finding import STATES, Finding
from .inputs import FilePath, Inputs, Samples
from .report import Report

__all__ = ["diagnose", "sort_findings"]


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
        loss: your loss function, ``loss(estimates [B, S, T], sources [B, S, T])``; it is called with probe signals.
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
    evidence = Evidence(Inputs(**locals()))  # the arguments, by name
    for name in CATALOGUE:
        evidence.found[name] = _run_check(name, evidence)
    return Report(sort_findings(list(evidence.found.values())), evidence)


def _run_check(name: str, evidence: Evidence) -> Finding:
    try:
        return CHECKS[name](evidence)
    except Exception as error:  # one check that fails on unusual input must not hide the other findings
        return Finding(
            name,
            "undecided",
            f"the check itself failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            {"error": type(error).__name__},
            bring="this input, in an issue of the project",
        )


def sort_findings(findings: Sequence[Finding]) -> list[Finding]:
    """By state, then causes before their consequences and symptoms, then by suspicion.

    A symptom that no check explained is explained by the first cause.
    """
    order = list(CATALOGUE)
    causes = [f.id for f in findings if f.state == "fail" and not f.entry.symptom and not f.explained_by]
    cause = min(causes, key=order.index, default=None)
    resolved = [
        replace(f, explained_by=cause) if f.bad and f.entry.symptom and not f.explained_by else f
        for f in findings
    ]
    return sorted(
        resolved,
        key=lambda f: (STATES.index(f.state), f.explained_by is not None, f.entry.symptom, order.index(f.id)),
    )
