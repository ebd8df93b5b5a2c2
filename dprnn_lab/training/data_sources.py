"""Where the mixtures of a run come from: the bundled voices, folders of speakers, or ready mixtures on disk.

Notebook: 05_training
"""

from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from ..audio import SAMPLE_RATE
from ..datasets.augmentation import Noise, Rooms
from ..datasets.disk_mixtures import DiskMixtures, FixedSegments, RandomSegments
from ..datasets.dynamic_mixing import DynamicMixing
from ..datasets.mixing import FixedMixtures
from ..datasets.speaker_folders import SpeakerFolders
from .datamodule import MixingData
from .settings import Settings

__all__ = ["make_data"]

EPOCH_SIZE = 2000  # training mixtures per epoch of dynamic mixing
VALID_COUNT = 200  # validation mixtures of a user's own data
VALID_SECONDS = 4.0


def make_data(settings: Settings, sample_rate: float) -> MixingData:
    """Training and validation mixtures at the model's sample rate, in Hz.

    Raises:
        ValueError, FileNotFoundError: settings that do not fit the data, or an unknown layout of the folder.
    """
    if settings.data == "corpus" or (Path(settings.data) / "metadata.csv").is_file():
        train, valid = _corpus(settings, sample_rate)
    elif _holds_mixtures(Path(settings.data)):
        train, valid = _disk(settings, sample_rate)
    else:
        train, valid = _speakers(settings, sample_rate)
    return MixingData(train, valid, settings.batch, settings.workers)


def _corpus(settings: Settings, sample_rate: float) -> tuple[Dataset, Dataset]:
    if sample_rate != SAMPLE_RATE and not settings.resample:
        raise ValueError(
            f"the model's sample rate is {sample_rate:g} Hz: the bundled voices are at {SAMPLE_RATE} Hz; "
            "set resample (--resample) to convert them"
        )
    rest = 1 - settings.woman_woman - settings.man_man - settings.seen_unseen
    kinds = {
        "man-woman": rest, "woman-woman": settings.woman_woman, "man-man": settings.man_man,
        "seen-unseen": settings.seen_unseen,
    }  # fmt: skip
    kinds = {kind: round(share, 6) for kind, share in kinds.items() if round(share, 6)}
    curriculum = [(0, {"man-woman": 1.0}), (settings.easy_epochs, kinds)] if settings.easy_epochs else kinds
    folder = None if settings.data == "corpus" else Path(settings.data)
    options = _mixing(settings, sample_rate)
    train = DynamicMixing.from_corpus(
        settings.splits, settings.speakers, folder, sample_rate, kinds=curriculum, **options
    )
    return train, FixedMixtures("valid", sample_rate=sample_rate)


def _speakers(settings: Settings, sample_rate: float) -> tuple[Dataset, Dataset]:
    options: Any = {"resample": settings.resample, "sexes": settings.sexes, "speakers": settings.speakers}
    folders = SpeakerFolders(settings.data, sample_rate, **options, seed=settings.seed)
    samples = round(VALID_SECONDS * sample_rate)
    if settings.valid_data is None:
        valid = folders.validation(samples, VALID_COUNT)
    else:
        others = SpeakerFolders(settings.valid_data, sample_rate, **options | {"speakers": None})
        valid = others.validation(samples, VALID_COUNT, split=None)
    return folders.mixing("train", **_mixing(settings, sample_rate)), valid


def _disk(settings: Settings, sample_rate: float) -> tuple[Dataset, Dataset]:
    unused = [n for n in ("noise", "rt60", "flip", "speed", "pair_weights") if getattr(settings, n)]
    if unused:
        raise ValueError(
            f"{settings.data} holds ready mixtures, and {', '.join(unused)} would change them: leave them out, or "
            "give a folder with a folder per speaker"
        )
    if settings.valid_data is None:
        raise ValueError(f"{settings.data} holds ready mixtures: give valid_data too, such as its dev folder")
    train = RandomSegments(
        DiskMixtures(settings.data, sample_rate, settings.mix),
        **_lengths(settings, sample_rate),
        seed=settings.seed,
    )
    valid = DiskMixtures(settings.valid_data, sample_rate, settings.mix)
    return train, FixedSegments(valid, round(VALID_SECONDS * sample_rate), VALID_COUNT)


def _mixing(settings: Settings, sample_rate: float) -> dict:
    """The arguments of dynamic mixing."""
    options: dict[str, Any] = {
        **_lengths(settings, sample_rate), "size": settings.epoch_size or EPOCH_SIZE,
        "level_db": settings.level_db, "speed_percent": settings.speed, "flip": settings.flip, "seed": settings.seed,
        "pair_weights": {tuple(pair.split("+")): weight for pair, weight in settings.pair_weights.items()},
    }  # fmt: skip
    if settings.noise is not None:
        low, high = settings.snr_db
        options["noise"] = Noise(
            settings.noise, (low, high), settings.noise_share, sample_rate, resample=settings.resample
        )
    if settings.rt60 is not None:
        low, high = settings.rt60
        options["rooms"] = Rooms(
            (low, high), share=settings.room_share, sample_rate=sample_rate, seed=settings.seed
        )
    return options


def _lengths(settings: Settings, sample_rate: float) -> dict:
    """The lengths of training mixtures, and the number of mixtures in a step of all processes."""
    seconds = settings.seconds if isinstance(settings.seconds, list) else [settings.seconds]
    return {
        "samples": [round(s * sample_rate) for s in seconds],
        "per_step": settings.batch * settings.devices * settings.num_nodes,
    }


def _holds_mixtures(path: Path) -> bool:
    """Whether it is a CSV of mixtures, or a folder with ``s1`` in it."""
    return path.suffix == ".csv" or (path / "s1").is_dir()
