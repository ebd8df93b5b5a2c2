"""Group E on purpose: faulty batches and lists.

Notebook: 07_failures_in_training
"""

import random

import torch

from ..datasets.corpus import SpeechCorpus
from ..datasets.dynamic_mixing import DynamicMixing
from .case import Case

__all__ = ["FAULTS", "healthy_batch", "healthy_lists"]


def healthy_batch(seed: int = 0, size: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixtures ``[B, T]`` and sources ``[B, S, T]`` of one second, as training draws them."""
    items = DynamicMixing.from_corpus(samples=8000, size=size, kinds={"man-woman": 1.0}, seed=seed)
    mixtures, sources = zip(*(items[i] for i in range(size)), strict=True)
    return torch.stack(mixtures), torch.stack(sources)


def healthy_lists(seed: int = 0, size: int = 5) -> dict[str, list]:
    """``{"train": [(sources [2, T], speakers), ...], "test": [...]}`` from the corpus's splits."""
    rng = random.Random(f"lists {seed}")
    lists = {}
    for split in ("train", "test"):
        corpus = SpeechCorpus(split, speakers=["carlo", "june", "allison"], min_seconds=3.0)
        utterances = rng.sample(corpus.utterances, len(corpus))
        items = []
        while len(items) < size:
            first = utterances.pop()
            second = next((u for u in utterances if u.speaker != first.speaker), None)
            if second is None:
                break
            utterances.remove(second)
            sources = torch.stack([corpus.load(u)[4000:20000] for u in (first, second)])
            items.append((sources, (first.speaker, second.speaker)))
        lists[split] = items
    return lists


def _batch(case: Case, rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
    mixtures, sources = case.batch if case.batch is not None else healthy_batch(rng.randrange(1000))
    return mixtures.clone(), sources.clone()


def _lists(case: Case, rng: random.Random) -> dict[str, list]:
    lists = case.data if isinstance(case.data, dict) else healthy_lists(rng.randrange(1000))
    return {split: list(items) for split, items in lists.items()}


def normalised(case: Case, rng: random.Random) -> Case:
    """Each source normalised to the same peak after mixing."""
    mixtures, sources = _batch(case, rng)
    return case.change(batch=(mixtures, sources * (0.9 / sources.abs().amax(-1, keepdim=True))))


def clipped_mixture(case: Case, rng: random.Random, strength: float) -> Case:
    """The mixture saved with too much gain, so that it clips; the sources do not."""
    mixtures, sources = _batch(case, rng)
    gain = (1.5 + 2 * strength) / mixtures.abs().amax(-1, keepdim=True)
    return case.change(batch=((mixtures * gain).clamp(-1, 1), sources * gain.unsqueeze(1)))


def noisy_mixture(case: Case, rng: random.Random, strength: float) -> Case:
    """Noise in the mixture that is in no target."""
    mixtures, sources = _batch(case, rng)
    noise = torch.randn(mixtures.shape, generator=torch.Generator().manual_seed(rng.randrange(2**31)))
    return case.change(batch=(mixtures + noise * mixtures.std() * (0.1 + strength), sources))


def shifted(case: Case, rng: random.Random, strength: float) -> Case:
    """Targets delayed by a few samples, as by a filter or a wrong offset."""
    mixtures, sources = _batch(case, rng)
    return case.change(batch=(mixtures, sources.roll(1 + int(40 * strength), -1)))


def wrong_names(case: Case, rng: random.Random) -> Case:
    """The targets of another example."""
    mixtures, sources = _batch(case, rng)
    return case.change(batch=(mixtures, sources.roll(1, 0)))


def _silent(gain: float, examples: int):
    def fault(case: Case, rng: random.Random) -> Case:
        _, sources = _batch(case, rng)
        for example in range(min(examples, len(sources))):
            sources[example, rng.randrange(2)] *= gain
        return case.change(batch=(sources.sum(1), sources))

    return fault


def _one_speaker():
    def fault(case: Case, rng: random.Random, strength: float) -> Case:
        lists = _lists(case, rng)
        corpus = SpeechCorpus("train", speakers=["june"], min_seconds=3.0)
        for i in range(max(1, round(strength * len(lists["train"])))):
            first, second = rng.sample(corpus.utterances, 2)
            sources = torch.stack([corpus.load(u)[4000:20000] for u in (first, second)])
            lists["train"][i] = (sources, ("june", "june"))
        return case.change(data=lists)

    return fault


def one_utterance(case: Case, rng: random.Random, strength: float) -> Case:
    """Both sources from one utterance, the second delayed and quieter; no speaker names."""
    lists = _lists(case, rng)
    sources = lists["train"][0][0].clone()
    sources[1] = 0.7 * sources[0].roll(int(400 + 2000 * strength))
    lists["train"][0] = sources
    return case.change(data=lists)


def twice_in_batch(case: Case, rng: random.Random) -> Case:
    """Both sources of the batch are the same segment."""
    _, sources = _batch(case, rng)
    sources[:, 1] = 0.8 * sources[:, 0]
    return case.change(batch=(sources.sum(1), sources))


def copied(case: Case, rng: random.Random, strength: float) -> Case:
    """Test examples that are also in the training list."""
    lists = _lists(case, rng)
    for i in range(max(1, round(strength * len(lists["test"])))):
        lists["test"][i] = lists["train"][-1 - i]
    return case.change(data=lists)


def copied_louder(case: Case, rng: random.Random) -> Case:
    """The same, at another level and in another pair."""
    lists = _lists(case, rng)
    first, names = lists["train"][0]
    where = next(i for i, (_, others) in enumerate(lists["test"]) if others[1] != names[0])
    second, others = lists["test"][where]
    lists["test"][where] = (torch.stack((first[0] * 0.5, second[1])), (names[0], others[1]))
    return case.change(data=lists)


def overlapping(case: Case, rng: random.Random, strength: float) -> Case:
    """Overlapping segments of one utterance in both lists."""
    lists = _lists(case, rng)
    corpus = SpeechCorpus("train", speakers=["carlo"], min_seconds=4.5)
    utterance = corpus.load(rng.choice(corpus.utterances))
    shift = 500 + int(4000 * (1 - strength))
    for split, start in (("train", 4000), ("test", 4000 + shift)):
        where = next(i for i, (_, names) in enumerate(lists[split]) if names[1] != "carlo")
        sources, names = lists[split][where]
        lists[split][where] = (
            torch.stack((utterance[start : start + 16000], sources[1][:16000])),
            ("carlo", names[1]),
        )
    return case.change(data=lists)


FAULTS = {
    "targets-inconsistent": {
        "normalised": normalised,
        "clipped-mixture": clipped_mixture,
        "noisy-mixture": noisy_mixture,
        "shifted": shifted,
        "wrong-names": wrong_names,
    },
    "silent-target": {"zero": _silent(0.0, 1), "faint": _silent(1e-4, 2), "all": _silent(0.0, 4)},
    "same-speaker": {
        "named": _one_speaker(),
        "one-utterance": one_utterance,
        "twice-in-batch": twice_in_batch,
    },
    "leakage": {"copied": copied, "copied-louder": copied_louder, "overlapping": overlapping},
}
