"""Ask every check, in the order of suspicion, and put the answers in the order of a report.

Notebook: 06_failures_at_inference
"""

from dataclasses import replace

from .catalogue import CATALOGUE, STATES, Finding
from .checks import CHECKS
from .evidence import Evidence
from .report import Report

__all__ = ["diagnose"]


def diagnose(
    model=None,
    mixture=None,
    sample_rate=None,
    references=None,
    estimates=None,
    *,
    checkpoint=None,
    config=None,
    speakers=None,
    reported=None,
    run=None,
    batch=None,
    loss=None,
    data=None,
    scores=None,
) -> Report:
    """Why does it not separate? Bring what you have; each piece decides more.

    Args:
        model: a checkpoint (path or hub id), or a live model of ours or Asteroid's. Files are read safely.
        mixture: a path, or samples ``[T]`` or ``[channels, T]``, floating point in -1 to 1 or int16, int32.
        sample_rate: of ``mixture`` in Hz; a file knows its own. None for samples: the model's rate is assumed,
            and other rates are tried.
        references: the true sources, ``[S, T]`` or a list of paths.
        estimates: what you got, ``[S, T]`` or a list of paths: what was done after the model is looked at too.
        checkpoint: the file that a live ``model`` was loaded from.
        config: the arguments that you pass to ``load_model`` beside the path.
        speakers: how many people you hear in the mixture.
        reported: the SI-SDR or loss (dB) that your own code reports.
        run: the folder of a training run (``curves/version_N/metrics.csv``, ``checkpoints/``), a CSV file or a
            table with the columns ``step, train_loss, valid_loss, grad_norm, si_sdri_<kind>``.
        batch: ``(mixtures [B, T], sources [B, S, T])`` as your training gets them.
        loss: your loss function, ``loss(estimates [B, S, T], sources [B, S, T])``; it is called with probes.
        data: lists of training and test material: see :func:`dprnn_lab.diagnosis.training_evidence.read_data`.
        scores: of single examples: a table of :func:`dprnn_lab.evaluation.evaluate`, its ``scores.csv`` or the folder
            with it, or SI-SDRi as arrays, ``{kind: [...]}``; when None, those of the last validation in the run's
            folder.

    Returns:
        A :class:`Report`: ``report.findings``, likeliest cause first; it prints, shows in a notebook, and has
        ``to_json()``.

    Raises:
        CheckpointError, AudioError: no such file; a thing that is no audio at all.
        TypeError: something else than what is asked for.
    """
    evidence = Evidence(
        model, mixture, sample_rate, references, estimates,
        checkpoint=checkpoint, config=config, speakers=speakers, reported=reported,
        run=run, batch=batch, loss=loss, data=data, scores=scores,
    )  # fmt: skip
    for name in CATALOGUE:
        evidence.found[name] = _ask(name, evidence)
    return Report(_sorted(list(evidence.found.values())), evidence)


def _ask(name: str, evidence: Evidence) -> Finding:
    try:
        return CHECKS[name](evidence)
    except Exception as error:  # one check that stumbles over strange input must not hide the others' answers
        return Finding(
            name,
            "undecided",
            f"the check itself failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            {"error": type(error).__name__},
            bring="this input, in an issue of the project",
        )


def _sorted(findings: list[Finding]) -> list[Finding]:
    """By state, then causes before what they explain and before symptoms, then by suspicion."""
    order = list(CATALOGUE)
    causes = [f.id for f in findings if f.state == "fail" and not f.entry.symptom and not f.explained_by]
    causes.sort(key=order.index)
    settled = []
    for finding in findings:
        if finding.bad and finding.entry.symptom and causes and not finding.explained_by:
            finding = replace(finding, explained_by=causes[0])
        settled.append(finding)
    return sorted(
        settled,
        key=lambda f: (STATES.index(f.state), f.explained_by is not None, f.entry.symptom, order.index(f.id)),
    )
