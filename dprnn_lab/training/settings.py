"""All that decides a run, in one object and one YAML file.

Notebook: 05_training
"""

import dataclasses
import difflib
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ..files import write_whole

__all__ = ["Settings"]

# A network that fits an evening on one core. Any argument of DPRNNTasNet may be given instead.
SMALL = {
    "n_filters": 64, "kernel_size": 32, "stride": 16, "chunk_size": 64, "n_repeats": 3, "bn_chan": 64, "hid_size": 64,
}  # fmt: skip


@dataclass
class Settings:
    """The settings of a run. Every one has a default that trains a small model on the bundled voices.

    Raises:
        ValueError, TypeError: an unknown name, or a value of the wrong kind.
    """

    # The network: arguments of DPRNNTasNet, over those of SMALL; or a checkpoint to go on from.
    model: dict = field(default_factory=dict)
    init: str | None = None  # a checkpoint whose weights the run starts from (fine-tuning)
    blocks: int | None = None  # dual-path blocks, more than init has; the new ones begin without effect
    hidden: int | None = None  # hidden units, more than init has; the new ones begin without effect
    stride: int | None = None  # samples, a whole part of init's; bad at first, and far better than chance
    sample_rate: float | None = None  # Hz, another one than init's: its filters are resampled
    freeze: list[str] = field(default_factory=list)  # parts that stay as they are, such as encoder

    # What it hears. data: "corpus"; or a folder with a metadata.csv like the corpus'; or a folder of folders per
    # speaker; or a folder with mix, s1, s2.
    data: str = "corpus"
    valid_data: str | None = None  # such a folder for validation; where None, a part of data is kept for it
    mix: str | None = None  # name of the mixtures' folder, where there are several
    sexes: str | None = None  # of folders of speakers: a CSV of speaker, sex, or LibriSpeech's SPEAKERS.TXT
    resample: bool = False  # convert recordings at another rate than the model's
    splits: list[str] = field(
        default_factory=lambda: ["train"]
    )  # of the corpus; "adapt" adds the unseen voice
    speakers: list[str] | None = None  # of the corpus or the speakers' folders; all
    seconds: float | list[float] = 1.0  # length of a training mixture; of several, each step draws one
    epoch_size: int | None = None  # mixtures per epoch; 2 000, or all of a data set on disk
    easy_epochs: int = 0  # epochs with man-woman pairs only
    woman_woman: float = 0.5  # share of the pairs after that
    man_man: float = 0.0  # share of the pairs of two men; the bundled voices have one
    seen_unseen: float = 0.0  # share of the pairs with the unseen voice
    pair_weights: dict = field(default_factory=dict)  # such as {ivrvoice+june: 4}: a pair drawn more often
    level_db: float = 2.5  # the first source is up to so much over or under the second
    speed: int = 0  # speed perturbation, per cent
    flip: bool = False  # turn half of the sources upside down
    noise: str | None = None  # white, pink, babble, or a folder of noise
    snr_db: list[float] = field(default_factory=lambda: [0.0, 20.0])  # of the louder source over the noise
    noise_share: float = 0.5  # of the mixtures get noise, if there is any
    rt60: list[float] | None = None  # reverberation times in seconds, lowest and highest; none
    room_share: float = 0.5  # of the mixtures are set in a room, if there are any
    workers: int = 0  # processes that read ahead

    # How it learns.
    batch: int = 4  # mixtures per step and process
    steps: int = 20_000
    minutes: float | None = None
    optimizer: str = "muon"
    lr: float = 1e-3
    warmup: int = 200
    cooldown: int = 0
    halve_after: int | None = None
    stop_after: int | None = None
    clip: float = 5.0
    ema: float = 0.999
    valid_every: int = 1
    seed: int = 0

    # On what.
    accelerator: str = "cpu"
    devices: int = 1
    num_nodes: int = 1
    precision: str = "32-true"
    compile_model: bool = False

    def __post_init__(self):
        for name, kind in KINDS.items():
            value = getattr(self, name)
            if isinstance(value, int) and not isinstance(value, bool) and float in kind:
                setattr(self, name, float(value))
            elif not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind):
                wanted = " or ".join("null" if k is type(None) else k.__name__ for k in kind)
                raise TypeError(f"{name} is {value!r}: expected {wanted}")
        for name in ("seconds", "batch", "steps", "lr", "valid_every", "devices", "num_nodes", "epoch_size"):
            value = getattr(self, name)
            if isinstance(value, list):
                if not all(isinstance(v, int | float) and v > 0 for v in value) or not value:
                    raise ValueError(f"{name} is {value}: give one number over 0 or more of them")
            elif value is not None and value <= 0:
                raise ValueError(f"{name} is {value}: it must be over 0")
        if isinstance(self.seconds, list) and len(self.seconds) == 1:
            self.seconds = float(self.seconds[0])
        if self.init and self.model:
            raise ValueError(
                f"init is {self.init!r} and model has {', '.join(self.model)}: a checkpoint brings its own network, "
                "leave one of them out"
            )

        for name in ("blocks", "hidden", "stride", "sample_rate"):
            if getattr(self, name) is not None and not self.init:
                instead = {"blocks": "n_repeats", "hidden": "hid_size"}.get(name, name)
                raise ValueError(
                    f"{name} changes a network that is loaded, and init names none: give model.{instead} instead"
                )

    @classmethod
    def of(cls, values: dict, where: str = "the settings") -> "Settings":
        """From a dictionary; an unknown name is an error that says which one was meant."""
        if not isinstance(values, dict):
            raise TypeError(f"{where}: expected names and values, such as 'steps: 20000'")
        for name in values:
            if name not in KINDS:
                near = difflib.get_close_matches(str(name), KINDS, 1)
                meant = f"did you mean {near[0]!r}?" if near else f"choose of {', '.join(KINDS)}"
                raise ValueError(f"{where}: unknown setting {name!r}: {meant}")
        return cls(**values)

    @classmethod
    def read(cls, path: Path) -> "Settings":
        """From a YAML file.

        Raises:
            FileNotFoundError, ValueError: no such file; not YAML, or an unknown name in it.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such settings file")
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
        return cls.of(values, str(path))

    def write(self, path: Path) -> None:
        """As a YAML file, in the order above."""
        text = yaml.safe_dump(dataclasses.asdict(self), sort_keys=False, allow_unicode=True)
        write_whole(path, text.encode())

    def changed(self, **values) -> "Settings":
        """A copy with other values; those of ``model`` are added to the ones that are there."""
        if "model" in values:
            values["model"] = self.model | values["model"]
        return Settings.of(dataclasses.asdict(self) | values)


def _kinds(annotation) -> tuple[type, ...]:
    parts = getattr(annotation, "__args__", None) if not hasattr(annotation, "__origin__") else None
    return tuple(getattr(part, "__origin__", part) for part in (parts or (annotation,)))


KINDS = {f.name: _kinds(f.type) for f in dataclasses.fields(Settings)}
