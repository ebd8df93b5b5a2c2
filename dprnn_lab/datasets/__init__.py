"""What a model is given: voices, mixtures of them, and segments for training."""

from .augmentation import Noise, Rooms
from .corpus import UNSEEN_SPEAKER, SpeechCorpus, Utterance
from .disk_mixtures import DiskMixtures, FixedSegments, RandomSegments
from .dynamic_mixing import DynamicMixing, FrozenMixtures, change_speed
from .mixing import PAIR_KINDS, FixedMixtures, MixtureSpec, mix, pair_kind
from .segment_lengths import SegmentLengths
from .speaker_folders import SpeakerFolders

__all__ = [
    "DiskMixtures",
    "DynamicMixing",
    "FixedMixtures",
    "FixedSegments",
    "FrozenMixtures",
    "MixtureSpec",
    "Noise",
    "PAIR_KINDS",
    "RandomSegments",
    "Rooms",
    "SegmentLengths",
    "SpeakerFolders",
    "SpeechCorpus",
    "UNSEEN_SPEAKER",
    "Utterance",
    "change_speed",
    "mix",
    "pair_kind",
]
