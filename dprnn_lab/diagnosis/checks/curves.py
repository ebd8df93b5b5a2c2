"""Group E: the curve of a run.

Notebook: 07_failures_in_training
"""

import math
from functools import lru_cache

import pandas as pd

from ...checkpoint import CheckpointError
from ...checkpoint.unpickling import safe_load
from ...files import data_folder
from ..evidence import Evidence
from ..finding import Finding
from ..run_curves import Run
from .healthy_band import LISTEN, behind_the_band, other_network
from .verdict import check, fail, fine, number, undecided, warn

__all__ = ["flat", "jump", "learning_rate", "no_clipping", "overfit", "resume", "unhealthy_curve"]

MARGIN_DB = 1.0  # over the worst healthy run
MIN_STEPS = 150  # before, all runs look alike
MIN_FLAT_ROWS = 4  # of one and the same loss
USUAL_RATES = (3e-5, 2e-2)  # outside, no run learned in the usual time
CLIP_GRADIENT = "trainer = L.Trainer(gradient_clip_val=5.0)"
RESUME = 'training.train(model, data, run, max_steps, resume="run/checkpoints/last.ckpt")'
WARMUP_STEPS = 50  # a random network's first gradients are large in every run
NORM_RATIO = 10.0  # to the usual gradient norm
RISE_DB = 3.0  # of the loss
BRING = "the run: its folder, or a table with step, train_loss, valid_loss, grad_norm"


def jump(losses: pd.Series) -> tuple[int, float, float, float] | None:
    """The largest lasting rise of a loss: (step, median before, median after, standard deviation after).

    None with fewer than six values.
    """
    if len(losses) < 6:
        return None
    best: tuple[float, int, float, float, float] = (-math.inf, 0, 0.0, 0.0, 0.0)
    for i in range(2, len(losses) - 1):
        before, after = losses.iloc[max(0, i - 4) : i], losses.iloc[i:]
        rise = float(after.median() - before.median())
        if rise > best[0]:
            best = (rise, i, float(before.median()), float(after.median()), float(after.std()))
    return int(losses.index[best[1]]), best[2], best[3], best[4]


@lru_cache
def healthy_band() -> pd.Series:
    """The highest loss of the recorded healthy runs, by step (data/curves, made by data/record_curves.py)."""
    files = sorted((data_folder() / "curves").glob("healthy-*.csv"))
    curves = [pd.read_csv(f).set_index("step")["train_loss"] for f in files]
    return pd.concat(curves, axis=1).max(axis=1).cummin()


def _behind(run: Run) -> tuple[float, float, int] | None:
    """The last loss, the worst healthy one at that step, and the step; None for a short curve."""
    losses = run.column("train_loss")
    if len(losses) < 3 or losses.index[-1] < MIN_STEPS or run.unit != "step" or not _in_db(losses):
        return None
    try:
        band = healthy_band()
    except (FileNotFoundError, ValueError):
        return None  # installed without the course's data
    step = int(losses.index[-1])
    allowed = float(band[band.index <= step].iloc[-1])
    return float(losses.iloc[-3:].median()), allowed, step


def _in_db(losses: pd.Series) -> bool:
    """Whether this can be a negative ratio in dB; an error such as MSE stays between 0 and 1."""
    return bool(losses.min() < -0.2 or losses.max() > 2)


def flat(losses: pd.Series) -> bool:
    """Whether a loss has one value from its first row to its last: no weight changes."""
    return len(losses) >= MIN_FLAT_ROWS and float(losses.max() - losses.min()) <= 1e-6 * max(
        1e-6, float(losses.abs().max())
    )


@check("no-clipping")
def no_clipping(e: Evidence) -> Finding:
    """Gradient norms, and the loss after the largest."""
    if e.run is None:
        return undecided("no curve", BRING)
    norms, losses = e.run.column("grad_norm"), e.run.column("train_loss")
    norms = norms[norms.index > WARMUP_STEPS]
    found = jump(losses[losses.index > WARMUP_STEPS])
    if len(norms) < 4 or found is None:
        return undecided("too few gradient norms in the curve", "a curve with a column grad_norm")
    if e.cause("nan-run") and e.run.clip:
        return undecided(f"gradients were clipped at {e.run.clip:g}, and the run went to NaN", BRING)
    at, before, after, _ = found
    # A step's loss is computed before its update: the norm that caused the rise may be logged a row before it.
    earlier = norms[norms.index < at]
    usual = float(earlier.iloc[:-1].median()) if len(earlier) > 1 else float(norms.median())
    largest = float(norms[norms.index >= (earlier.index[-1] if len(earlier) else at)].max())
    rise = after - before
    facts = {
        "median_norm": number(usual),
        "largest_norm": number(largest),
        "at_step": at,
        "loss_rise_db": number(rise),
    }
    why = f"{NORM_RATIO:g} times the norms before, and a loss that stays {RISE_DB:g} dB higher"
    if largest > NORM_RATIO * max(usual, 1e-3) and rise > RISE_DB:
        return fail(
            f"near step {at} the gradient norm went from {usual:.2g} to {largest:.3g}, and the loss rose by "
            f"{rise:.1f} dB and stayed",
            facts,
            why,
            CLIP_GRADIENT,
            explained_by=e.cause("learning-rate", "dead-output"),
        )
    return fine(f"no jump of loss and gradient norm (usual norm {usual:.2g})", facts, why)


@check("learning-rate")
def learning_rate(e: Evidence) -> Finding:
    """The rate of the run, and whether it learns."""
    if e.run is None:
        return undecided("no curve", BRING)
    rate, last = _rate(e.run)
    behind = _behind(e.run)
    if rate is None:
        return undecided("the curve has no learning rate", "a column lr, or the folder with its checkpoints")
    learned = behind is None or behind[0] <= behind[1] + MARGIN_DB
    if last and rate < USUAL_RATES[0] and learned:
        return fine(
            f"{rate:g} at the end of the run: which rate it began with is not known", {"last_rate": rate}
        )
    facts = {"learning_rate": rate}
    if USUAL_RATES[0] <= rate <= USUAL_RATES[1]:
        return fine(f"{rate:g} is a usual learning rate", facts, f"{USUAL_RATES[0]:g} to {USUAL_RATES[1]:g}")
    answer, says = warn, f"a learning rate of {rate:g} is {'high' if rate > USUAL_RATES[1] else 'low'}"
    if behind is not None and not learned:
        loss, healthy, step = behind
        answer, says = (
            fail,
            f"{says}, and at step {step} the loss is {loss:.1f} dB, healthy runs have {healthy:.1f}",
        )
    return answer(
        says,
        facts,
        f"{USUAL_RATES[0]:g} to {USUAL_RATES[1]:g} for Adam and Muon",
        "training.train(model, data, run, max_steps, lr=1e-3, warmup=200)",
    )


def _rate(run: Run) -> tuple[float | None, bool]:
    """The largest rate in the curve, the last checkpoint or the settings; and whether it is only the rate at the end.

    A scheduler lowers the rate of the optimiser, which says the first one only where the scheduler wrote it down.
    """
    columns = [c for c in run.table if c == "lr" or str(c).startswith(("lr-", "learning_rate"))]
    if columns:
        return float(run.table[columns[0]].max()), False
    state = _checkpoint(run) or {}
    for schedule in state.get("lr_schedulers") or []:
        if schedule.get("base_lrs"):
            return float(max(schedule["base_lrs"])), False
    optimisers = [o for o in state.get("optimizer_states") or [] if isinstance(o, dict)]
    groups = [g for o in optimisers for g in o.get("param_groups") or []]
    first = [g["initial_lr"] for g in groups if "initial_lr" in g]
    if first or run.rate is not None:
        return float(max(first) if first else run.rate or 0.0), False
    now = [g["lr"] for g in groups if "lr" in g]
    return (float(max(now)), True) if now else (None, False)


def _checkpoint(run: Run) -> dict | None:
    """The run's last checkpoint, read without running its code; None if it can't be read."""
    if run.checkpoint is None:
        return None
    try:
        content = safe_load(run.checkpoint)
    except (CheckpointError, OSError):
        return None
    return content if isinstance(content, dict) else None


@check("resume")
def resume(e: Evidence) -> Finding:
    """The loss before and after a run was resumed."""
    if e.run is None:
        return undecided("no curve", BRING)
    losses = e.run.column("train_loss")
    state = _checkpoint(e.run)
    if state is not None and e.run.checkpoint is not None and not state.get("optimizer_states"):
        return fail(
            f"{e.run.checkpoint.name} has no optimiser state: a run can't be resumed from it",
            {"keys": sorted(map(str, state))[:12]},
            "optimizer_states and lr_schedulers, as Lightning writes them",
            RESUME,
        )
    worst = None
    for step in e.run.sessions:
        before, after = losses[losses.index < step].iloc[-4:], losses[losses.index >= step].iloc[:3]
        if len(before) > 1 and len(after):
            noise = max(0.2, float(before.diff().abs().median()))
            rise = float(after.median() - before.median())
            if worst is None or rise / noise > worst[1]:
                worst = (step, rise / noise, rise)
    if worst is None:
        return fine("the run was not resumed") if not e.run.sessions else undecided("too few rows", BRING)
    step, times, rise = worst
    facts = {"resumed_at": step, "rise_db": number(rise), "times_usual_change": number(times, 1)}
    if rise > 0.5 and times > 3:
        return fail(
            f"where the run was resumed, at step {step}, the loss rose by {rise:.1f} dB",
            facts,
            "0.5 dB, and three times the usual change from row to row",
            RESUME,
        )
    return fine("the loss continues where it was", facts)


@check("overfit")
def overfit(e: Evidence) -> Finding:
    """Training loss against validation loss."""
    if e.run is None:
        return undecided("no curve", BRING)
    train, valid = e.run.column("train_loss"), e.run.column("valid_loss")
    if len(valid) < 3 or len(train) < 4:
        return undecided("too few rows with both losses", "a curve with train_loss and valid_loss")
    last = float(train.iloc[-3:].median())
    gap = float(valid.iloc[-1]) - last
    rise = float(valid.iloc[-1] - valid.min())
    early = train[train.index <= valid.index[0]]
    growth = gap - float(valid.iloc[0] - (early.iloc[-3:].median() if len(early) else train.iloc[0]))
    facts = {
        "train_db": number(last),
        "valid_db": number(valid.iloc[-1]),
        "gap_db": number(gap),
        "gap_growth_db": number(growth),
        "valid_over_its_best_db": number(rise),
    }
    why = "a gap of 3 dB that grew by 2 dB: new voices always score somewhat lower"
    if gap > 3 and growth > 2 and last < 0:
        return fail(
            f"training {last:.1f} dB, validation {float(valid.iloc[-1]):.1f} dB, and the gap grew by {growth:.1f} dB",
            facts,
            why,
            "data = training.MixingData(DynamicMixing.from_corpus(samples=8000), FixedMixtures('valid'), 4)",
            explained_by=e.cause("pit-wrong-axis"),  # which makes the training loss too low
        )
    return fine(f"training {last:.1f} dB, validation {float(valid.iloc[-1]):.1f} dB", facts, why)


def _too_little(run: Run) -> str:
    """Why a curve can't be compared with healthy runs."""
    losses = run.column("train_loss")
    if not len(losses):
        return f"no number of a training loss in {len(run.table)} rows (train_loss, or loss)"
    if len(losses) < 3:
        return f"the curve has {len(losses)} row{'s' if len(losses) > 1 else ''} with a training loss"
    if run.unit != "step" or not _in_db(losses):
        last = f"{losses.iloc[-1]:.3g} at {run.unit} {int(losses.index[-1])}"
        return f"this loss is not in dB by optimiser step ({last})"
    return f"fewer than {MIN_STEPS} steps"


@check("unhealthy-curve")
def unhealthy_curve(e: Evidence) -> Finding:
    """The end of the curve against the worst healthy run."""
    if e.run is None:
        return undecided("no curve", BRING)
    losses = e.run.column("train_loss")
    if flat(losses):
        return fail(
            f"the loss is {losses.iloc[0]:.4g} in all {len(losses)} rows (to {e.run.unit} {int(losses.index[-1])}): no "
            "weight changes",
            {"loss": number(losses.iloc[0], 4), "rows": len(losses)},
            f"one value in {MIN_FLAT_ROWS} rows or more; noise of the batches alone changes a loss",
            "print([n for n, p in model.named_parameters() if p.grad is None])  # after a backward(): frozen, detached",
            explained_by=e.cause("detached-loss"),
        )
    behind = _behind(e.run)
    if behind is None:
        return undecided(_too_little(e.run), "the same run after 600 steps")
    loss, allowed, step = behind
    cause = e.cause(
        "sign-of-loss", "detached-loss", "pit-wrong-axis", "no-pit", "silent-target", "targets-inconsistent",
        "same-speaker", "nan-run", "dead-output", "no-clipping", "learning-rate", "resume",
    )  # fmt: skip
    facts = {"step": step, "loss_db": number(loss), "worst_healthy_db": number(allowed)}
    if loss > allowed + MARGIN_DB and (other := other_network(e.run, loss, allowed, step)):
        return other
    if loss > allowed + MARGIN_DB:
        return fail(
            f"after {step} steps the loss is {loss:.1f} dB; the worst of three healthy runs had {allowed:.1f}",
            facts,
            f"{MARGIN_DB:g} dB over it (data/curves: a small model on a man and a woman)",
            LISTEN,
            explained_by=cause,
        )
    return behind_the_band(e.run) or fine(
        f"after {step} steps {loss:.1f} dB; healthy runs had at most {allowed:.1f}", facts
    )
