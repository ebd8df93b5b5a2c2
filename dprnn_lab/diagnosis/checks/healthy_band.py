"""A run beside the recorded healthy runs of its own network and data; no judgement where it has others.

Notebook: 05_training
"""

from ..finding import Finding
from ..healthy_runs import ADVICE, LEVELS_DB, HealthyRuns, Place, read_healthy_runs, size_of
from ..run_curves import Run
from .verdict import note, number, warn

__all__ = ["behind_the_band", "other_network"]

NEVER_LEARNS_STEPS = 3000  # after which a loss that never went under LEARNT_DB is worth a look in any network
LEARNT_DB = -0.5
LISTEN = "player(batch[0][0]); player(batch[1][0, 0])  # a mixture and a target as the model gets them"


def behind_the_band(run: Run) -> Finding | None:
    """A warning if the run's SI-SDRi is far under all healthy runs of its network and data; else None."""
    if not run.settings:
        return None
    size, _ = size_of(run.settings)
    if size is None:
        return None
    try:
        healthy = read_healthy_runs(size)
    except (FileNotFoundError, ValueError):
        return None  # installed without the course's data
    place = healthy.place(run)
    if place is None or not place.behind:
        return None
    level, when = _missed(healthy, place)
    beside = "" if place.at >= place.step else f" at step {place.at}, the last recorded one before it"
    facts = {
        "size": size, "step": place.step, "healthy_step": place.at, "si_sdri_db": number(place.value),
        "lowest_healthy_db": number(place.low), "highest_healthy_db": number(place.high),
        "limit_db": number(place.limit), "healthy_runs": len(healthy.seeds),
    }  # fmt: skip
    return warn(
        f"behind the band: after {place.step} steps a man and a woman improve by {place.value:.1f} dB, in "
        f"{len(healthy.seeds)} healthy runs of the network {size!r} by {place.low:.1f} to {place.high:.1f} dB{beside}. "
        f"{when}{ADVICE[level]}",
        facts,
        f"{place.limit:.1f} dB at step {place.at}, in two validations in a row; it lies under all healthy runs",
        LISTEN,
    )


def _missed(healthy: HealthyRuns, place: Place) -> tuple[float, str]:
    """The first milestone that the run has not reached, and when healthy runs do."""
    level = next((level for level in LEVELS_DB if place.value < level), LEVELS_DB[-1])
    row = healthy.milestones((level,)).iloc[0]
    if row["step_50"] != row["step_50"]:  # NaN: the recorded runs end before
        return level, f"{level:g} dB come after step {place.recorded_to} in most of them. What to do: "
    return level, f"Half of them reach {level:g} dB by step {int(row['step_50'])}. What to do: "


def other_network(run: Run, loss: float, allowed: float, step: int) -> Finding | None:
    """The answer for a slow run of another network, data or recipe than the band's; None where it has the band's.

    Such a run learns at another speed, so that being slower than the band is no failure.
    """
    if not run.settings:
        return None
    size, differs = size_of(run.settings)
    if size is not None:
        return None
    losses = run.column("train_loss")
    facts = {"step": step, "loss_db": number(loss), "worst_healthy_db": number(allowed), "differs": differs}
    why = "healthy runs are recorded of two networks on the bundled voices (data/curves/healthy)"
    if step >= NEVER_LEARNS_STEPS and float(losses.min()) > LEARNT_DB:
        return warn(
            f"after {step} steps the loss is {loss:.1f} dB and was never under {LEARNT_DB:g}: the mixture is passed "
            "through, and no network needs that long to leave this",
            facts, why, LISTEN,
        )  # fmt: skip
    return note(
        f"after {step} steps the loss is {loss:.1f} dB. No healthy run was recorded that could be compared with it "
        f"({differs}); a small network on a man and a woman has {allowed:.1f} at this step",
        facts, why, LISTEN,
    )  # fmt: skip
