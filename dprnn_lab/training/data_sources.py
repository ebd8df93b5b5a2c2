"""Where the mixtures of a run come from: the bundled voices, folders of speakers, or ready mixtures on disk.

Notebook: 05_training
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from ..audio import SAMPLE_RATE
from ..datasets.augmentation import GENERATED, Noise, Rooms
from ..datasets.disk_mixtures import DiskMixtures, FixedSegments, RandomSegments
from ..datasets.dynamic_mixing import DynamicMixing
from ..datasets.layouts import audio_by_speaker, holds_mixtures
from ..datasets.mixing import FixedMixtures
from ..datasets.mixture_sums import check_sums
from ..datasets.notes import DataWarning, left_out_text
from ..datasets.speaker_folders import SpeakerFolders
from ..error_texts import printable
from .datamodule import MixingData
from .settings import Settings

__all__ = ["describe", "make_data"]

EPOCH_SIZE = 2000  # training mixtures per epoch of dynamic mixing
VALID_COUNT = 200  # validation mixtures of a user's own data
VALID_SECONDS = 4.0
SHOWN = 8  # names of speakers in the description
# Settings of the data that each kind of data does not use.
CORPUS_ONLY = ("splits", "easy_epochs", "woman_woman", "man_man", "seen_unseen")
SPEAKERS_ONLY = (
    "noise", "snr_db", "noise_share", "rt60", "room_share", "flip", "speed", "pair_weights", "level_db",
)  # fmt: skip
UNUSED = {
    "corpus": ("mix", "sexes", "valid_data"),
    "speakers": ("mix", *CORPUS_ONLY),
    "disk": ("sexes", "speakers", "resample", *CORPUS_ONLY, *SPEAKERS_ONLY),
}
DATA_NAMES = {
    "corpus": "a corpus with metadata.csv",
    "speakers": "a folder for each speaker",
    "disk": "ready mixtures",
}


def make_data(settings: Settings, sample_rate: float, n_src: int | None = None) -> MixingData:
    """Training and validation mixtures at the model's sample rate, in Hz. :func:`describe` says what they are.

    Args:
        n_src: outputs of the model, one for each source of the mixtures; None if it does not matter.

    Raises:
        ValueError, FileNotFoundError: settings that do not fit the data or have no effect on it, an unknown layout of
            the folder, mixtures of another number of sources, or mixtures that are not made of their sources.
    """
    data = Path(settings.data)
    with _quiet_notes():
        if settings.data == "corpus" or (data / "metadata.csv").is_file():
            train, valid, lines = _corpus(settings, sample_rate)
            sources = 2
        elif (
            data.suffix.lower() == ".csv" or holds_mixtures(data) or (settings.mix and (data / "s1").is_dir())
        ):
            train, valid, lines = _disk(settings, sample_rate, n_src)
            sources = len(train.mixtures.specs[0].sources)
        else:
            train, valid, lines = _speakers(settings, sample_rate)
            sources = 2
    if n_src is not None and n_src != sources:
        raise ValueError(_count_message(printable(data), sources, n_src))
    made = _DescribedData(train, valid, settings.batch, settings.workers)
    made.description = tuple(printable(line) for line in lines)
    return made


class _DescribedData(MixingData):
    description: tuple[str, ...] = ()


def describe(data: MixingData) -> list[str]:
    """What the mixtures of :func:`make_data` are made of, a line each: speakers, counts, and what was left out."""
    return list(getattr(data, "description", ()))


def _count_message(where: str, sources: int, n_src: int) -> str:
    return (
        f"{where}: its mixtures have {sources} sources, and the model has n_src={n_src} outputs: give a model of "
        f"n_src={sources} (--set model.n_src={sources}), or other data"
    )


@contextmanager
def _quiet_notes() -> Iterator[None]:
    """The remarks on data are lines of the description here, and no warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield


def _refuse_unused(settings: Settings, kind: str) -> None:
    """Raise ValueError for options that were given and have no effect on the data."""
    defaults = Settings()
    names = list(UNUSED[kind])
    if kind != "disk":
        names += [] if settings.noise is not None else ["snr_db", "noise_share"]
        names += [] if settings.rt60 is not None else ["room_share"]
    if kind == "corpus" and settings.noise in (None, *GENERATED):
        names.append("skip_bad")  # its files are read before the training anyway
    unused = [name for name in names if getattr(settings, name) != getattr(defaults, name)]
    if unused:
        where = printable(settings.data)
        changing = [name for name in unused if name in SPEAKERS_ONLY] if kind == "disk" else []
        options = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        if changing:
            raise ValueError(
                f"{where} holds ready mixtures, and {', '.join(changing)} would change them ({options}): leave "
                "them out, or give a folder with a folder per speaker"
            )
        reason = {"snr_db": "noise", "noise_share": "noise", "room_share": "rt60"}.get(unused[0])
        if reason and kind != "disk":
            raise ValueError(
                f"{', '.join(unused)} ({options}) has no effect without {reason} (--{reason}): give that too, or leave "
                "it out"
            )
        raise ValueError(
            f"{', '.join(unused)} ({options}) has no effect on {DATA_NAMES[kind]}, which {where} is: leave it out, or "
            "give other data (--data)"
        )


def _corpus(settings: Settings, sample_rate: float) -> tuple[Any, Dataset, list[str]]:
    _refuse_unused(settings, "corpus")
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
    valid = FixedMixtures("valid", sample_rate=sample_rate)
    seconds = sum(len(voice) for voice in train.voices.values()) / sample_rate
    where = "the bundled voices" if folder is None else str(folder)
    lines = [f"{where}: {_names(list(train.voices))}, {seconds / 60:.1f} min for training"]
    return train, valid, lines + _noise_lines(train)


def _speakers(settings: Settings, sample_rate: float) -> tuple[Any, Dataset, list[str]]:
    audio_by_speaker(Path(settings.data), settings.speakers)  # the layout first: it may explain the settings
    _refuse_unused(settings, "speakers")
    options: Any = {
        "resample": settings.resample, "sexes": settings.sexes, "speakers": settings.speakers,
        "skip_bad": settings.skip_bad,
    }  # fmt: skip
    folders = SpeakerFolders(settings.data, sample_rate, **options, seed=settings.seed)
    samples = round(VALID_SECONDS * sample_rate)
    train = folders.mixing("train", **_mixing(settings, sample_rate))
    if settings.valid_data is None:
        valid = folders.validation(samples, VALID_COUNT)
        lines = _folder_lines(folders, list(train.voices)) + _noise_lines(train)
    else:
        others = SpeakerFolders(settings.valid_data, sample_rate, **options | {"speakers": None})
        valid = others.validation(samples, VALID_COUNT, split=None)
        lines = _folder_lines(folders, list(train.voices)) + _noise_lines(train)
        lines += [f"validation: {line}" for line in _folder_lines(others, list(valid.mixing.voices))]
    return train, valid, lines


def _folder_lines(folders: SpeakerFolders, names: Sequence[str]) -> list[str]:
    minutes = {
        split: sum(u.samples for u in folders.utterances if u.split == split) / folders.sample_rate / 60
        for split in ("train", "valid")
    }
    lines = [
        f"{folders.path}: {_names(names)}, {minutes['train']:.1f} min for training and "
        f"{minutes['valid']:.1f} min held out"
    ]
    if folders.copies:
        lines.append(f"{folders.path}: copies of other files, left out: {len(folders.copies)}")
    if folders.left_out:
        total = len(folders.left_out) + len(folders.utterances) + len(folders.copies)
        lines.append(f"{folders.path}: {left_out_text(folders.left_out, total)}")
    return lines + folders.notes


def _noise_lines(train: DynamicMixing) -> list[str]:
    noise = train.noise
    if noise is None or not noise.files:
        return []
    lines = [f"{noise.source}: {len(noise.files)} files of noise"]
    if noise.left_out:
        lines.append(
            f"{noise.source}: {left_out_text(noise.left_out, len(noise.left_out) + len(noise.files))}"
        )
    return lines + noise.notes


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return f"{len(names)} speakers ({shown})"


def _disk(settings: Settings, sample_rate: float, n_src: int | None) -> tuple[Any, Dataset, list[str]]:
    _refuse_unused(settings, "disk")
    if settings.valid_data is None:
        raise ValueError(
            f"{printable(settings.data)} holds ready mixtures: give valid_data too (--valid-data), such as "
            "its dev folder"
        )
    parts, lines = [], []
    for path in (settings.data, settings.valid_data):
        mix = None if Path(path).suffix.lower() == ".csv" else settings.mix
        mixtures = DiskMixtures(path, sample_rate, mix, skip_bad=settings.skip_bad)
        sources = len(mixtures.specs[0].sources)
        if n_src is not None and n_src != sources:
            raise ValueError(_count_message(printable(path), sources, n_src))
        parts.append(mixtures)
    if settings.mix is not None and all(p.path.suffix.lower() == ".csv" for p in parts):
        raise ValueError(
            "mix (--mix) has no effect on lists, which name their mixtures themselves: leave it out"
        )
    train = RandomSegments(
        parts[0], **_lengths(settings, sample_rate), seed=settings.seed, size=settings.epoch_size
    )
    valid = FixedSegments(parts[1], round(VALID_SECONDS * sample_rate), VALID_COUNT)
    for name, mixtures, segments in zip(("training", "validation"), parts, (train, valid), strict=True):
        total = len(mixtures) + len(mixtures.left_out)
        spec = mixtures.specs[0]
        lines.append(
            f"{mixtures.path}: {len(segments)} mixtures of {spec.kind} with {len(spec.sources)} sources for {name}"
        )
        if mixtures.left_out:
            lines.append(f"{mixtures.path}: {left_out_text(mixtures.left_out, total)}")
        lines += [*mixtures.notes, *segments.notes, *check_sums(mixtures)]
    if Path(settings.data).resolve() == Path(settings.valid_data).resolve():
        lines.append(
            f"{settings.data}: the validation mixtures are those of the training; its scores say nothing of others"
        )
    return train, valid, lines


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
            settings.noise,
            (low, high),
            settings.noise_share,
            sample_rate,
            resample=settings.resample,
            skip_bad=settings.skip_bad,
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
