"""Group E: a run whose loss became NaN.

Notebook: 07_failures_in_training
"""

from ..evidence import Evidence
from ..finding import Finding
from ..run_curves import Break, Run
from .verdict import check, fail, fine, note, number, undecided

__all__ = ["nan_run"]

NORM_RATIO = 10.0  # of the last gradient norm to the usual one: a rise that announces the NaN
BRING = "the run: its folder, or a table with step, train_loss, valid_loss, grad_norm"
LIMIT = "none allowed: one such step makes every weight NaN, and no later step repairs them"


@check("nan-run")
def nan_run(e: Evidence) -> Finding:
    """The first step that is not finite, by the run's own word or in its curve, and the rows before it."""
    run = e.run
    if run is None:
        return undecided("no curve", BRING)
    if run.ending.get("state") == "not finite":
        return _as_it_says(run)
    lasting = {name: b for name, b in run.breaks.items() if not b.recovered}
    losses = {name: b for name, b in lasting.items() if "loss" in name.lower()}
    if losses or lasting:
        return _from_the_curve(run, losses or lasting)
    if run.breaks:
        name, b = next(iter(run.breaks.items()))
        return note(
            f"{name} was NaN or infinite in {b.rows} rows ({run.unit} {b.first} to {b.last}) and is finite again: "
            "those steps were skipped, as mixed precision does now and then",
            {"column": name, "first": b.first, "last": b.last, "rows": b.rows},
            "no more than a few: if it returns, lower the learning rate",
            _remedy(run, b.first),
        )
    if not len(run.column("train_loss")) and not len(run.column("valid_loss")):
        columns = ", ".join(str(c) for c in run.table)
        return undecided(f"the curve has no number of a loss (its columns: {columns})", BRING)
    return fine("every loss and gradient norm is finite")


def _as_it_says(run: Run) -> Finding:
    """From ``ended.json``: our training stops before the optimiser takes such a step."""
    fault = run.ending.get("fault")
    fault = fault if isinstance(fault, dict) else {}
    at, what = fault.get("step", run.ending.get("step")), fault.get("what", "the loss")
    step = at if isinstance(at, int) else 0
    facts = {
        "step": step,
        "what": what,
        "value": fault.get("value"),
        "file": fault.get("file"),
        "learning_rate": fault.get("learning_rate"),
        "clip": run.clip,
        "saved_step": run.ending.get("saved_step"),
    }
    says = str(run.ending.get("sentence") or f"{what} was not finite").rstrip(".")
    return fail(f"{says}; {_clipping(run)}", facts, LIMIT, _remedy(run, step, str(what)))


def _from_the_curve(run: Run, found: dict[str, Break]) -> Finding:
    name, b = min(found.items(), key=lambda item: item[1].first)
    norms, losses = run.column("grad_norm"), run.column("train_loss")
    before = losses[losses.index < b.first]
    facts: dict[str, object] = {"column": name, "step": b.first, "rows": b.rows, "clip": run.clip}
    says = f"from {run.unit} {b.first} on {name} is NaN or infinite"
    if len(before):
        facts["last_finite_loss"] = number(before.iloc[-1])
        says += f"; the last finite loss is {before.iloc[-1]:.3g} ({run.unit} {int(before.index[-1])})"
    else:
        says += ", the first that was logged: look at the data and the first weights"
    earlier = norms[norms.index < b.first]
    overflow = run.breaks.get("grad_norm")
    if overflow is not None and overflow.first < b.first:
        says += f"; the gradient norm was NaN or infinite before it, at {run.unit} {overflow.first}"
        facts["gradient_broken_at"] = overflow.first
    elif len(earlier) > 2:
        usual, last = float(earlier.median()), float(earlier.iloc[-1])
        facts |= {"median_norm": number(usual), "last_norm": number(last)}
        rose = last > NORM_RATIO * max(usual, 1e-6)
        says += f"; the gradient norm {'rose' if rose else 'did not rise'} before ({last:.3g}, usually {usual:.3g})"
    return fail(f"{says}; {_clipping(run)}", facts, LIMIT, _remedy(run, b.first))


def _clipping(run: Run) -> str:
    """What is known of clipping: it is no cause when it was on."""
    if run.clip is None:
        return "whether gradients were clipped, the run does not say"
    return f"gradients were clipped at {run.clip:g}" if run.clip else "gradients were not clipped"


def _remedy(run: Run, step: int, what: str = "") -> str:
    """A line for a run of this package; another toolkit's gets what its trainer takes."""
    saved = run.checkpoint_before(step)
    comment = "after repairing the recording" if what.endswith("data") else "at half the learning rate"
    if saved is not None:
        return (
            f"training.train(model, data, {str(run.folder)!r}, max_steps, lr=5e-4, clip=5.0, resume={str(saved)!r})"
            f"  # {comment}"
        )
    if run.folder is not None and (run.ending or run.clip is not None):
        again = f"{run.folder.name}-again"
        return f"training.train(model, data, {again!r}, max_steps, lr=5e-4, clip=5.0)  # from the start, {comment}"
    return (
        "trainer = L.Trainer(gradient_clip_val=5.0, detect_anomaly=True)  # from the last checkpoint before "
        f"{run.unit} {step}, {comment}"
    )
