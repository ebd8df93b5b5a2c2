"""The data of a run, from its settings: the bundled voices, folders of speakers, or ready mixtures on disk.

Notebook: 05_training
"""

from ..mixing import DynamicMixing, FixedMixtures
from ..speech import SAMPLE_RATE
from .data import MixingData
from .settings import Settings

__all__ = ["make_data"]

EPOCH = 2000  # mixtures, where they are made on the fly and have no end


def make_data(settings: Settings, sample_rate: float) -> MixingData:
    """Training and validation mixtures at the model's sample rate, in Hz."""
    if settings.data == "corpus":
        train, valid = _corpus(settings, sample_rate)
    else:
        raise NotImplementedError
    return MixingData(train, valid, settings.batch, settings.workers)


def _corpus(settings: Settings, sample_rate: float):
    if sample_rate != SAMPLE_RATE:
        raise ValueError(
            f"the model's sample rate is {sample_rate:g} Hz: the bundled voices are at {SAMPLE_RATE} Hz"
        )
    rest = 1 - settings.woman_woman - settings.seen_unseen
    kinds = {"man-woman": rest, "woman-woman": settings.woman_woman, "seen-unseen": settings.seen_unseen}
    kinds = {kind: share for kind, share in kinds.items() if share}
    if settings.easy_epochs:
        kinds = [(0, {"man-woman": 1.0}), (settings.easy_epochs, kinds)]
    train = DynamicMixing.from_corpus(
        settings.splits, settings.speakers, samples=round(settings.seconds * SAMPLE_RATE),
        size=settings.epoch_size or EPOCH, kinds=kinds, level_db=settings.level_db,
        speed_percent=settings.speed, flip=settings.flip, seed=settings.seed,
    )  # fmt: skip
    return train, FixedMixtures("valid")
