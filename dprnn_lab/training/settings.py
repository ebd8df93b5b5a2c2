"""The settings of a run: one dataclass, one YAML file, and the options of ``dprnn-lab train``.

Each field carries its help text; ``cli/train.py`` makes an option of it.

Notebook: 05_training
"""

# ruff: noqa: RUF009 (_setting gives every instance a list of its own)

import dataclasses
import difflib
import os
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, get_origin

import yaml

from ..files import read_yaml, write_whole

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
    blocks: int | None = _network(
        None, "Dual-path blocks, more than INIT has; the new ones start with zero effect."
    )
    hidden: int | None = _network(
        None, "Hidden units, more than INIT has; the new ones start with zero effect."
    )
    stride: int | None = _network(
        None,
        "Samples between frames, a divisor of INIT's stride; scores drop at first and recover in training.",
    )
    sample_rate: float | None = _network(None, "Hz, other than INIT's: the filters of INIT are resampled.")
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
        1.0, "Length of a training mixture, in seconds; repeatable: each step draws one of the lengths."
    )
    epoch_size: int | None = _data(None, "Mixtures per epoch; 2000, or the whole data set of ready mixtures.")
    easy_epochs: int = _data(0, "Epochs with man-woman pairs only, before all pairs.")
    woman_woman: float = _data(0.5, "Share of woman-woman pairs after that.")
    man_man: float = _data(0.0, "Share of man-man pairs; the bundled voices have one.")
    seen_unseen: float = _data(0.0, "Share of pairs with the unseen voice.")
    pair_weights: dict = _data({}, "Relative frequency of pairs, such as {ivrvoice+june: 4}.")
    level_db: float = _data(2.5, "Largest level difference between the sources, in dB.")
    speed: int = _data(0, "Speed perturbation, in per cent.")
    flip: bool = _data(False, "Invert the polarity of each source with probability 0.5.")
    noise: StrPath | None = _data(None, "white, pink, babble, or a folder of noise.")
    snr_db: list[float] = _data(
        [0.0, 20.0], "Lowest and highest level of the louder source over the noise, in dB.", pair=True
    )
    noise_share: float = _data(0.5, "Share of the mixtures that get noise, if NOISE is given.")
    rt60: list[float] | None = _data(None, "Lowest and highest reverberation time, in seconds.", pair=True)
    room_share: float = _data(0.5, "Share of the mixtures that get reverberation, if RT60 is given.")
    workers: int = _data(0, "Processes that read ahead.")

    batch: int = _learning(4, "Mixtures per step and process.")
    steps: int = _learning(20_000, "Optimiser steps in total, resumed sessions included.")
    minutes: float | None = _learning(None, "Stop after this many minutes; the run can be resumed.")
    optimizer: str = _learning("muon", "muon or adam.")
    lr: float = _learning(1e-3, "Learning rate.")
    warmup: int = _learning(200, "Steps to reach the learning rate.")
    cooldown: int = _learning(0, "Last steps, in which the learning rate falls to zero.")
    halve_after: int | None = _learning(
        None, "Validations without progress before the learning rate is halved."
    )
    stop_after: int | None = _learning(None, "Validations without progress before the run ends.")
    clip: float = _learning(5.0, "Largest norm of the gradient; 0 for no clipping.")
    ema: float = _learning(0.999, "Decay per step of the averaged weights, which are validated and saved.")
    valid_every: int = _learning(1, "Epochs between validations.")
    seed: int = _learning(0, "Seed of weights and mixtures.")

    accelerator: str = _machine("cpu", "cpu or gpu.")
    devices: int = _machine(1, "Processes (CPU) or GPUs on each machine.")
    num_nodes: int = _machine(1, "Machines.")
    precision: str = _machine("32-true", "32-true or bf16-mixed.")
    compile_model: bool = _machine(
        False, "Compile the model first (torch.compile): needs a C++ compiler, and minutes."
    )

    def __post_init__(self):
        for name, kinds in KINDS.items():
            value = getattr(self, name)
            if isinstance(value, os.PathLike) and os.PathLike in kinds:
                setattr(self, name, os.fspath(value))
            elif isinstance(value, int) and not isinstance(value, bool) and float in kinds:
                setattr(self, name, float(value))
            elif not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                wanted = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
                raise TypeError(f"{name} is {value!r}: expected {wanted}")
        for name in ("seconds", "batch", "steps", "lr", "valid_every", "devices", "num_nodes", "epoch_size"):
            value = getattr(self, name)
            if isinstance(value, list):
                if not all(isinstance(v, int | float) and v > 0 for v in value) or not value:
                    raise ValueError(f"{name} is {value}: give one or more numbers above 0")
            elif value is not None and value <= 0:
                raise ValueError(f"{name} is {value}: it must be above 0")
        for name in ("snr_db", "rt60"):
            value = getattr(self, name)
            if value is not None and len(value) != 2:
                raise ValueError(f"{name} is {value}: give the lowest and the highest value")
        if isinstance(self.seconds, list) and len(self.seconds) == 1:
            self.seconds = float(self.seconds[0])
        if self.init and self.model:
            raise ValueError(
                f"init is {self.init!r} and model has {', '.join(self.model)}: a checkpoint contains its network, "
                "leave one of them out"
            )
        for name in ("blocks", "hidden", "stride", "sample_rate"):
            if getattr(self, name) is not None and not self.init:
                instead = {"blocks": "n_repeats", "hidden": "hid_size"}.get(name, name)
                raise ValueError(
                    f"{name} changes a loaded network, and init is not set: give model.{instead} instead"
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
