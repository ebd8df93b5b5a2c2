"""The data of a model: voices, mixtures of them, and segments for training."""

from .augmentation import Noise, Rooms, add_noise, reverberate
from .conversation import Conversation, Swaps, count_swaps, make_conversation
from .corpus import UNSEEN_SPEAKER, SpeechCorpus, Utterance, read_metadata
from .disk_mixtures import DiskMixtures, FixedSegments, RandomSegments
from .dynamic_mixing import DynamicMixing, FrozenMixtures, change_speed
from .in_rooms import InRooms
from .mixing import PAIR_KINDS, FixedMixtures, MixtureSpec, mix, pair_kind
from .segment_lengths import SegmentLengths
from .speaker_folders import SpeakerFolders, read_sexes

__all__ = [
    "Conversation",
    "DiskMixtures",
    "DynamicMixing",
    "FixedMixtures",
    "FixedSegments",
    "FrozenMixtures",
    "InRooms",
    "MixtureSpec",
    "Noise",
    "PAIR_KINDS",
    "RandomSegments",
    "Rooms",
    "SegmentLengths",
    "SpeakerFolders",
    "SpeechCorpus",
    "Swaps",
    "UNSEEN_SPEAKER",
    "Utterance",
    "add_noise",
    "change_speed",
    "count_swaps",
    "make_conversation",
    "mix",
    "pair_kind",
    "read_metadata",
    "read_sexes",
    "reverberate",
]
