"""The settings of a run: one dataclass, one YAML file, and the options of ``dprnn-lab train``.

Each field carries its help text; ``cli/setting_options.py`` makes an option of it.

Notebook: 05_training
"""

# ruff: noqa: RUF009 (_setting gives every instance a list of its own)

import dataclasses
import difflib
import math
import os
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, get_origin

import yaml

from ..files import read_yaml, write_whole
from .setting_checks import check_bounds, example, shown

__all__ = ["KINDS", "MODEL_HELP", "SMALL", "Settings", "alternatives"]

# A network that trains in an evening on one core: what `model` changes.
SMALL = {
    "n_filters": 64, "kernel_size": 32, "stride": 16, "chunk_size": 64, "n_repeats": 3, "bn_chan": 64, "hid_size": 64,
}  # fmt: skip
# Arguments of DPRNNTasNet with a command-line option of their own; all others are given as --set model.NAME=VALUE.
MODEL_HELP = {
    "n_filters": "Filters of encoder and decoder.",
    "kernel_size": "Samples per filter; the stride becomes half of it.",
    "chunk_size": "Frames per chunk.",
    "n_repeats": "Dual-path blocks.",
    "bn_chan": "Features per frame in the separator.",
    "hid_size": "Hidden units per RNN and direction.",
    "mask_act": "Activation of the masks.",
    "encoder_activation": "Activation of the encoder.",
}

LARGEST_BATCH = 20_000  # seconds of mixtures that a step may read: 640 MB of samples at 8 kHz

StrPath = str | os.PathLike  # kept as text


def _setting(default: Any, help: str, panel: str, **options) -> Any:
    """A field of :class:`Settings` with its help text and the heading under which ``--help`` shows it."""
    metadata = {"help": help, "panel": panel} | options
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


_network = partial(_setting, panel="Network")
_data = partial(_setting, panel="Data")
_learning = partial(_setting, panel="Learning")
_machine = partial(_setting, panel="Machine")


@dataclass
class Settings:
    """The settings of a run. The defaults train a small model on the bundled voices.

    Raises:
        ValueError, TypeError: an unknown name, a value of the wrong type, or settings that contradict each other.
    """

    model: dict = _network({}, "Arguments of DPRNNTasNet, in addition to those of SMALL.")
    init: StrPath | None = _network(None, "A checkpoint to start from (fine-tuning).")
    prefix: str | None = _network(
        None, "Which of several models in INIT: the beginning of its parameters' names, or its key."
    )
    blocks: int | None = _network(
        None, "Dual-path blocks, more than INIT has; the new ones start with zero effect.", low=1, high=1000
    )
    hidden: int | None = _network(
        None, "Hidden units, more than INIT has; the new ones start with zero effect.", low=1, high=10**6
    )
    stride: int | None = _network(
        None,
        "Samples between frames, a divisor of INIT's stride; scores drop at first and recover in training.",
        low=1,
        high=10**6,
    )
    sample_rate: float | None = _network(
        None, "Hz, other than INIT's: the filters of INIT are resampled.", above=0, high=1e6
    )
    freeze: list[str] = _network([], "A part that is not trained, such as encoder; repeatable.")

    data: StrPath = _data(
        "corpus",
        "corpus: the bundled voices; or a folder with a folder per speaker, with mix, s1, s2, or with metadata.csv.",
    )
    valid_data: StrPath | None = _data(
        None, "Such a folder for validation; otherwise a part of DATA is held out."
    )
    mix: str | None = _data(None, "Folder of the mixtures, if DATA has several.")
    sexes: StrPath | None = _data(
        None, "For folders of speakers: a CSV with speaker and sex, or LibriSpeech's SPEAKERS.TXT."
    )
    resample: bool = _data(False, "Convert recordings to the sample rate of the model.")
    splits: list[str] = _data(["train"], "Splits of the corpus; adapt adds the unseen voice; repeatable.")
    speakers: list[str] | None = _data(
        None, "Speakers of the corpus or of the folders, all if not given; repeatable."
    )
    seconds: float | list[float] = _data(
        1.0,
        "Length of a training mixture, in seconds; repeatable: each step draws one of the lengths.",
        above=0,
        high=3600,
    )
    epoch_size: int | None = _data(
        None, "Mixtures per epoch; 2000, or the whole data set of ready mixtures.", low=1, high=10**6
    )
    easy_epochs: int = _data(0, "Epochs with man-woman pairs only, before all pairs.", low=0, high=10**6)
    woman_woman: float = _data(0.5, "Share of woman-woman pairs after that.", low=0, high=1)
    man_man: float = _data(0.0, "Share of man-man pairs; the bundled voices have one.", low=0, high=1)
    seen_unseen: float = _data(0.0, "Share of pairs with the unseen voice.", low=0, high=1)
    pair_weights: dict = _data({}, "Relative frequency of pairs, such as {ivrvoice+june: 4}.")
    level_db: float = _data(2.5, "Largest level difference between the sources, in dB.", low=0, high=100)
    speed: int = _data(0, "Speed perturbation, in per cent.", low=0, high=50)
    flip: bool = _data(False, "Invert the polarity of each source with probability 0.5.")
    noise: StrPath | None = _data(None, "white, pink, babble, or a folder of noise.")
    snr_db: list[float] = _data(
        [0.0, 20.0],
        "Lowest and highest level of the louder source over the noise, in dB.",
        pair=True,
        low=-100,
        high=200,
    )
    noise_share: float = _data(0.5, "Share of the mixtures that get noise, if NOISE is given.", low=0, high=1)
    rt60: list[float] | None = _data(
        None, "Lowest and highest reverberation time, in seconds.", pair=True, above=0, high=20
    )
    room_share: float = _data(
        0.5, "Share of the mixtures that get reverberation, if RT60 is given.", low=0, high=1
    )
    skip_bad: bool = _data(
        False, "Leave out files that can't be used; every file is read once for that, before the training."
    )
    workers: int = _data(0, "Processes that read ahead.", low=0, high=256)

    batch: int = _learning(4, "Mixtures per step and process.", low=1, high=4096)
    steps: int = _learning(20_000, "Optimiser steps in total, resumed sessions included.", low=1, high=10**9)
    minutes: float | None = _learning(
        None, "Stop a session after this many minutes; the run can be resumed.", above=0, high=10**6
    )
    optimizer: str = _learning("muon", "muon or adam.")
    lr: float = _learning(1e-3, "Learning rate.", above=0)
    warmup: int = _learning(200, "Steps to reach the learning rate.", low=0, high=10**9)
    cooldown: int = _learning(0, "Last steps, in which the learning rate falls to zero.", low=0, high=10**9)
    halve_after: int | None = _learning(
        None, "Validations without progress before the learning rate is halved.", low=1, high=10**6
    )
    stop_after: int | None = _learning(
        None, "Validations without progress before the run ends.", low=1, high=10**6
    )
    clip: float = _learning(5.0, "Largest norm of the gradient; 0 for no clipping.", low=0)
    ema: float = _learning(
        0.999, "Decay per step of the averaged weights, which are validated and saved.", low=0, high=1
    )
    valid_every: int = _learning(1, "Epochs between validations.", low=1, high=10**6)
    seed: int = _learning(0, "Seed of weights and mixtures.", low=0, high=2**32 - 1)

    accelerator: str = _machine("cpu", "cpu, gpu, cuda, mps or auto.")
    devices: int = _machine(1, "Processes (CPU) or GPUs on each machine.", low=1, high=1024)
    num_nodes: int = _machine(1, "Machines.", low=1, high=1024)
    precision: str = _machine(
        "32-true", "32-true, bf16-mixed, or auto: bf16-mixed where the processor or GPU has it."
    )
    compile_model: bool = _machine(
        False, "Compile the model first (torch.compile): needs a C++ compiler, and minutes."
    )

    def __post_init__(self):
        for setting in dataclasses.fields(self):
            value = self._of_its_type(setting.name, getattr(self, setting.name))
            setattr(self, setting.name, value)
            items = value if isinstance(value, list) else [value]
            if not items and setting.name == "seconds":
                raise ValueError("seconds is []: give one or more numbers above 0, such as 1.0")
            for item in items:
                if isinstance(item, int | float) and not isinstance(item, bool):
                    check_bounds(setting, value, item)
            if (
                setting.metadata.get("pair")
                and value is not None
                and (len(value) != 2 or value[0] > value[1])
            ):
                raise ValueError(
                    f"{setting.name} is {value}: give the lowest and the highest value, such as {example(setting)}"
                )
        if isinstance(self.seconds, list) and len(self.seconds) == 1:
            self.seconds = float(self.seconds[0])
        if self.init and self.model:
            raise ValueError(
                f"init is {self.init!r} and model has {', '.join(self.model)}: a checkpoint contains its network, "
                "leave one of them out"
            )
        if self.prefix is not None and not self.init:
            raise ValueError(
                f"prefix is {self.prefix!r}, and init is not set: it chooses one of the models in INIT, leave it out"
            )
        for name in ("blocks", "hidden", "stride", "sample_rate"):
            if getattr(self, name) is not None and not self.init:
                instead = {"blocks": "n_repeats", "hidden": "hid_size"}.get(name, name)
                raise ValueError(
                    f"{name} changes a loaded network, and init is not set: give model.{instead} instead "
                    f"(on the command line --set model.{instead}=...)"
                )

        self._check_shares()

    def _of_its_type(self, name: str, value: Any) -> Any:
        """The value as its setting's type: paths as text, whole numbers where decimal ones are due, tuples as lists."""
        kinds, setting = KINDS[name], self.__dataclass_fields__[name]
        if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:  # a NumPy number
            value = value.item()
        if isinstance(value, tuple) and list in kinds:
            value = list(value)
        if isinstance(value, os.PathLike) and os.PathLike in kinds:
            return os.fspath(value)
        if isinstance(value, int) and not isinstance(value, bool) and float in kinds:
            return float(value) if abs(value) < 2**1000 else math.inf
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            wanted = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
            if setting.metadata.get("pair"):
                wanted = "list of two numbers" + (" or null" if type(None) in kinds else "")
            raise TypeError(f"{name} is {shown(value)}: expected {wanted}, such as {example(setting)}")
        if isinstance(value, list):
            numbers = name in ("seconds", "snr_db", "rt60")
            for item in value:
                if isinstance(item, bool) or not isinstance(item, int | float if numbers else str):
                    what = (
                        "one or more numbers above 0"
                        if name == "seconds"
                        else "numbers"
                        if numbers
                        else "names"
                    )
                    error = ValueError if numbers else TypeError
                    raise error(f"{name} is {shown(value)}: give {what}, such as {example(setting)}")
        return value

    def _check_shares(self) -> None:
        shares = {n: getattr(self, n) for n in ("woman_woman", "man_man", "seen_unseen")}
        if sum(shares.values()) > 1 + 1e-6:
            given = ", ".join(f"{n} {v:g}" for n, v in shares.items())
            raise ValueError(f"{given}: these shares are more than 1 together; the rest are man-woman pairs")
        for pair, weight in self.pair_weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
                raise ValueError(
                    f"pair_weights has {pair!r}: {weight!r}: give a number of 0 or more, such as 4"
                )
        longest = max(self.seconds) if isinstance(self.seconds, list) else self.seconds
        if self.batch * longest > LARGEST_BATCH:
            raise ValueError(
                f"batch is {self.batch} and seconds {longest:g}: a step would read {self.batch * longest:g} seconds of "
                f"mixtures; {LARGEST_BATCH} are the most, make one of them smaller"
            )

    @classmethod
    def of(cls, values: dict, where: str = "the settings") -> "Settings":
        """From a dictionary; ``where`` names its origin in messages."""
        if not isinstance(values, dict):
            raise TypeError(f"{where}: expected names and values, such as 'steps: 20000'")
        for name in values:
            if name not in KINDS:
                near = difflib.get_close_matches(str(name), KINDS, 1)
                meant = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(KINDS)}"
                raise ValueError(f"{where}: unknown setting {name!r}: {meant}")
        return cls(**values)

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Settings":
        """From a YAML file.

        Raises:
            FileNotFoundError, ValueError: no such file; not YAML, far too large, or an unknown name in it.
        """
        return cls.of(read_yaml(path) or {}, str(path))

    def write(self, path: str | os.PathLike) -> None:
        """As a YAML file, in the order above."""
        text = yaml.safe_dump(dataclasses.asdict(self), sort_keys=False, allow_unicode=True)
        write_whole(Path(path), text.encode())

    def changed(self, **values) -> "Settings":
        """A copy with other values; ``model`` is merged with the present one."""
        if "model" in values:
            values["model"] = self.model | values["model"]
        return Settings.of(dataclasses.asdict(self) | values)


def alternatives(annotation: Any) -> tuple:
    """``float | list[float]`` to ``(float, list[float])``."""
    return annotation.__args__ if isinstance(annotation, UnionType) else (annotation,)


KINDS = {
    f.name: tuple(get_origin(t) or t for t in alternatives(f.type)) for f in dataclasses.fields(Settings)
}
