"""An exam "find the fault in this checkpoint": a hidden fault for each student number, and its marks.

The fault, the mixture and the disguise of the network are drawn from the student number and the lecturer's secret.
What was drawn is kept in the key, from which the exam is made again for grading: the files that a student hands in are
never used.
"""

import csv
import inspect
import math
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dprnn_lab import DPRNNTasNet, load_model
from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.datasets.mixing import mix
from dprnn_lab.diagnosis import CATALOGUE
from dprnn_lab.files import data_folder
from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr

from .disguise import disguised
from .exam_faults import CHOICES, FAULTS, Fault, Material
from .isolated import Outcome, run_isolated
from .marking import NotRight

__all__ = [
    "NAME",
    "POINTS",
    "Drawn",
    "check_form",
    "draw",
    "material",
    "points",
    "read_key",
    "repaired_db",
    "solution",
]

NAME = "find_the_fault"  # of the assignment
POINTS = {"group": 2, "fault": 4, "repair": 4}
SECONDS = 60.0  # for a repair and a pass of the network; the limit of a cell is longer
SLACK_DB = 1.5  # that a repair may stay below the lecturer's
HARM_DB = 3.0  # that the fault costs at least, beyond the slack
SEPARATED_DB = 8.0  # SI-SDRi of the healthy network on the mixture
SAME_WEIGHTS = 0.75  # of the repaired network, at least, come from the student's files


class Drawn(NamedTuple):
    """A row of the key."""

    student: str
    variant: str  # of FAULTS
    mixture: int  # in the test list
    level_db: float  # of the first voice over the second
    seed: int  # of the disguise and of the fault's details
    pass_db: float  # SI-SDRi that a repair has to reach

    @property
    def fault(self) -> Fault:
        return FAULTS[self.variant]


@cache
def _healthy() -> tuple[DPRNNTasNet, DPRNNTasNet]:
    torch.set_num_threads(1)
    earlier = load_model(data_folder() / "model" / "small-step61746.ckpt")
    return load_model("small").eval(), earlier.eval()


@cache
def _mixtures() -> FixedMixtures:
    return FixedMixtures("test")


def improvement(network: DPRNNTasNet, recording: torch.Tensor, sources: torch.Tensor) -> float:
    """SI-SDRi in dB of the network's estimates over the clean mixture of the sources; -inf for NaN."""
    with torch.no_grad():
        estimates = network(recording)
    samples = min(estimates.shape[-1], sources.shape[-1])
    estimates, sources = estimates[..., :samples], sources[:, :samples]
    if estimates.shape != sources.shape or not estimates.isfinite().all():
        return -math.inf
    after = -PITLossWrapper(pairwise_neg_sisdr)(estimates[None], sources[None])
    return float(after - si_sdr(sources.sum(0), sources).mean())


def _clean(mixture: int, level_db: float, seed: int) -> Material:
    _, sources, _ = _mixtures()[mixture]
    recording, sources = mix(sources[0], sources[1], level_db)
    return Material(*(disguised(model, seed) for model in _healthy()), recording, sources)


def material(drawn: Drawn) -> Material:
    """What the student has, made from the key; ``sources`` are the lecturer's."""
    clean = _clean(drawn.mixture, drawn.level_db, drawn.seed)
    return drawn.fault.break_(clean, random.Random(drawn.seed))


def draw(student: str, secret: str) -> Drawn:
    """The exam of a student: the same for the same number and secret.

    A fault is taken only where it does harm and its repair helps.

    Raises:
        LookupError: no mixture is separated (the bundled model is missing or broken).
    """
    rng = random.Random(f"{secret} exam {student}")
    variants = rng.sample(list(FAULTS), len(FAULTS))
    for _ in range(200):
        mixture, level_db, seed = (
            rng.randrange(len(_mixtures())),
            round(rng.uniform(-2, 2), 2),
            rng.randrange(2**31),
        )
        clean = _clean(mixture, level_db, seed)
        if improvement(clean.network, clean.recording, clean.sources) < SEPARATED_DB:
            continue
        drawn = Drawn(student, variants[0], mixture, level_db, seed, 0.0)
        given = material(drawn)
        broken = improvement(given.network, given.recording, given.sources)
        repaired = improvement(*drawn.fault.repair(*given[:3]), given.sources)
        pass_db = round(repaired - SLACK_DB, 2)
        if broken <= pass_db - HARM_DB:
            return drawn._replace(pass_db=pass_db)
        variants.append(variants.pop(0))
    raise LookupError(
        "the bundled network separates none of 200 mixtures: see dprnn-lab diagnose on data/model/small"
    )


def repaired_db(repair: Callable, given: Material) -> float:
    """SI-SDRi in dB of a student's repair.

    Raises:
        ValueError: it does not return what it should, or another network than those of the exam.
    """
    network, earlier = (DPRNNTasNet(**model.config).eval() for model in given[:2])
    network.load_state_dict(given.network.state_dict())
    earlier.load_state_dict(given.earlier.state_dict())
    answer = repair(network, earlier, given.recording.clone())
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise ValueError(f"my_repair returned {type(answer).__name__}: return a network and a recording")
    network, recording = answer
    if not isinstance(network, DPRNNTasNet):
        raise ValueError(f"my_repair returned {type(network).__name__} first: it must be a DPRNNTasNet")
    if not isinstance(recording, torch.Tensor) or recording.dim() != 1 or not len(recording):
        raise ValueError("my_repair must return the recording as a tensor [T] of samples second")
    total = same = 0
    for name, tensor in network.state_dict().items():
        files = [model.state_dict().get(name) for model in given[:2]]
        total += tensor.numel()
        same += max(
            (int((tensor == x).sum()) for x in files if x is not None and x.shape == tensor.shape), default=0
        )
    if same < SAME_WEIGHTS * total:
        raise ValueError(
            f"{same / total:.0%} of the network's weights are those of your files: repair these, no other"
        )
    return improvement(network.eval(), recording.float(), given.sources)


def check_form(fault: Any, repair: Any) -> None:
    """Say what is missing in the answers; for students, who have no key. It takes no points: each part has its own.

    Raises:
        NotRight: there is no answer at all, or no such fault.
    """
    if fault is ...:
        raise NotRight("Not attempted: set fault to an id of the list, and complete my_repair.")
    if not isinstance(fault, str) or fault not in CHOICES:
        raise NotRight(f"fault is {fault!r}: it must be an id of the list: {', '.join(CHOICES)}.")
    if not callable(repair) or list(inspect.signature(repair).parameters) != [
        "network",
        "earlier",
        "recording",
    ]:
        raise NotRight("my_repair must be a function of network, earlier and recording, in this order.")
    print(f"Handed in: {fault} (group {CATALOGUE[fault].group}), and my_repair.")


def points(fault: Any, repair: Callable | None, folder: Path | None = None) -> float:
    """Marks of an answer, with a line on each; for the lecturer, who has the key.

    Args:
        fault: an id of the catalogue; anything else is wrong.
        repair: ``(network, earlier, recording)`` to ``(network, recording)``; None where it is missing.
        folder: of the submission, named by the student below the folder of the course; None for the current one.
    """
    drawn = read_key(folder or Path.cwd())
    given, total = material(drawn), 0
    right = CATALOGUE[drawn.fault.id]
    fault = fault.strip() if isinstance(fault, str) else None
    if fault in CATALOGUE and CATALOGUE[fault].group == right.group:
        total += POINTS["group"]
        print(f"group {right.group}: right, {POINTS['group']} points")
    else:
        print("group: wrong, 0 points")
    total += POINTS["fault"] * (fault == right.id)
    print(
        f"fault {fault}: " + (f"right, {POINTS['fault']} points" if fault == right.id else "wrong, 0 points")
    )
    found = Outcome(failure="there is no function my_repair")
    if callable(repair):
        found = run_isolated(lambda: repaired_db(repair, given), SECONDS)
    reached = -math.inf if found.value is None else found.value
    passed = reached >= drawn.pass_db
    total += POINTS["repair"] * passed
    result = found.failure or f"SI-SDRi of {reached:.1f} dB, {drawn.pass_db:.1f} dB are needed"
    print(f"repair: {result}: {POINTS['repair'] * passed} points")
    return float(total)


def read_key(folder: Path) -> Drawn:
    """The row of the key for a folder ``COURSE/autograded/STUDENT/find_the_fault``.

    Raises:
        LookupError: there is no key above the folder, or no such student in it.
    """
    folder = folder.resolve()
    course = next((parent for parent in folder.parents if (parent / "exam_key.csv").is_file()), None)
    if course is None:
        raise LookupError(f"no exam_key.csv above {folder}: only the lecturer's folder has it")
    student = folder.parent.name
    with (course / "exam_key.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["student"] == student:
                numbers = int(row["mixture"]), float(row["level_db"]), int(row["seed"]), float(row["pass_db"])
                return Drawn(student, row["variant"], *numbers)
    raise LookupError(
        f"exam_key.csv has no student {student!r}: add the number to the list and build the exam again"
    )


def solution(folder: Path | None = None) -> tuple[str, Callable]:
    """A right answer for the student in whose folder this runs; needs the key."""
    fault = read_key(folder or Path.cwd()).fault
    return fault.id, fault.repair
