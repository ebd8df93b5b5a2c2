"""Everything the user brought, in one form, and what the model does with it: computed once, when first asked for.

Notebook: 06_failures_at_inference
"""

import os
from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import nn

from ..checkpoint import CheckpointError, load_model
from ..checkpoint.settings import DEFAULTS
from ..datasets.mixing import FixedMixtures
from ..loss import PITLossWrapper, pairwise_neg_sisdr, reorder, si_sdr
from ..model import DPRNNTasNet
from .catalogue import Finding
from .checkpoint_file import CheckpointFile, examine
from .initial_weights import Layer, layers
from .mixture import NOTHING, Sound, as_signals, read_sound
from .remix_consistency import Remix, remix
from .score_table import last_validation, read_scores
from .training_evidence import read_batch, read_data, read_run

__all__ = ["Control", "Evidence", "best_order"]

PIECE = 3.0  # seconds, of the excerpts on which a model is judged
LONGEST = 60.0  # seconds that are separated whole
CONTROLS = 3


class Control:
    """The model on bundled mixtures of a man and a woman, whose sources are known."""

    def __init__(self, model: Callable[[torch.Tensor], torch.Tensor]):
        mixtures = FixedMixtures("valid", kind="man-woman", limit=CONTROLS)
        half = int(PIECE * 4000)
        pairs = [(m[8000:][: 2 * half], s[:, 8000:][:, : 2 * half]) for m, s, _ in mixtures]
        self.model = model
        self.mixtures, self.sources = (torch.stack(part) for part in zip(*pairs, strict=True))
        self.remix: Remix = remix(model, self.mixtures)

    @cached_property
    def improvement(self) -> float:
        """SI-SDRi, dB."""
        pit = PITLossWrapper(pairwise_neg_sisdr)
        with torch.no_grad():
            after = -pit(self.model(self.mixtures), self.sources)
        return float(after - si_sdr(self.mixtures.unsqueeze(1), self.sources).mean())


class Evidence:
    """What :func:`dprnn_lab.diagnose` was given; see there.

    Attributes that may be None: ``file``, ``network``, ``sound``, ``references`` and ``estimates`` (``[S, T]``),
    ``batch`` (mixtures ``[B, T]``, sources ``[B, S, T]``), ``loss``, ``run``, ``data``, ``scores``, ``reported``,
    ``speakers``.
    """

    def __init__(
        self,
        model=None,
        mixture=None,
        sample_rate=None,
        references=None,
        estimates=None,
        *,
        checkpoint=None,
        config: Mapping | None = None,
        speakers: int | None = None,
        reported: float | None = None,
        run=None,
        batch=None,
        loss=None,
        data=None,
        scores=None,
    ):
        self.found: dict[str, Finding] = {}  # by the checks so far
        self.config = dict(config or {})
        self.speakers, self.reported, self.loss = speakers, reported, loss
        if isinstance(model, (str, os.PathLike)):
            model, checkpoint = None, model if checkpoint is None else checkpoint
        if model is not None and not isinstance(model, nn.Module):
            raise TypeError(f"model is {type(model).__name__}: give a path or a torch module")
        self.file: CheckpointFile | None = None if checkpoint is None else examine(checkpoint, self.config)
        self.live = model is not None
        self.was_training = bool(model is not None and model.training)
        self.network: nn.Module | None = model if model is not None else self._loaded()
        self.sound: Sound | None = None
        if mixture is not None:
            self.sound = read_sound(mixture, sample_rate, self.rate)
        self.references = None if references is None else as_signals(references, "references")
        self.estimates = None if estimates is None else as_signals(estimates, "estimates")
        self.run = None if run is None else read_run(run)
        self.batch = None if batch is None else read_batch(batch)
        self.data = None if data is None else read_data(data)
        scores = last_validation(run) if scores is None else scores
        self.scores = None if scores is None else read_scores(scores)

    def _loaded(self) -> nn.Module | None:
        if self.file is None or not self.file.loads:
            return None
        try:
            return load_model(self.file.path, report=True, **self.config)[0]
        except CheckpointError:
            return None

    # The model

    @property
    def ours(self) -> DPRNNTasNet | None:
        """The network if it is this course's, so that its configuration is known."""
        return self.network if isinstance(self.network, DPRNNTasNet) else None

    @property
    def settings(self) -> dict | None:
        """Every argument of the model; with neither model nor file, of the one that ``config`` describes."""
        if self.ours is not None:
            return dict(self.ours.config)
        if self.file is not None:
            return None if self.file.report is None else self.file.report.config
        return {**DEFAULTS, **self.config} if self.config else None

    @property
    def rate(self) -> float | None:
        """Of the model, Hz; of the file's configuration when it does not load."""
        if self.network is not None:
            return getattr(self.network, "sample_rate", None)
        return None if self.settings is None else self.settings["sample_rate"]

    @property
    def n_src(self) -> int | None:
        """Outputs of the model."""
        if self.ours is not None:
            return self.ours.n_src
        return len(self.own) if self.own is not None else None

    @cached_property
    def layers(self) -> list[Layer]:
        """Of the live network."""
        return [] if self.network is None else layers(self.network)

    @property
    def people(self) -> int | None:
        """In the recording, as far as anybody said: the user, or the number of references with sound in them."""
        if self.speakers is not None or self.references is None or self.cause("silence", "not-finite"):
            return self.speakers
        return len(self.references)

    def cause(self, *ids: str) -> str | None:
        """The first of these failures that was found."""
        return next((i for i in ids if i in self.found and self.found[i].state == "fail"), None)

    def suspected(self, failure: str) -> bool:
        """Whether this one was found, as a failure or a warning."""
        return failure in self.found and self.found[failure].bad

    @property
    def broken_weights(self) -> str | None:
        """A failure that makes it pointless to listen to the network."""
        return self.cause(
            "weights-unsafe", "weights-corrupt", "weights-unmatched", "weights-partial", "config-shape"
        )

    @torch.no_grad()
    def separate(self, mixtures: torch.Tensor) -> torch.Tensor | None:
        """``[B, T]`` to ``[B, S, T]``, in evaluation mode; None when the network can't."""
        network = self.network
        if network is None:
            return None
        modes = [(m, m.training) for m in network.modules()]
        try:
            parameter = next(network.parameters(), torch.zeros(()))
            estimates = network.eval()(mixtures.to(parameter)).float().cpu()
        except Exception:  # a network of the user's may raise anything; that it can't run is the finding
            return None
        finally:
            for module, mode in modes:
                module.training = mode
        fits = estimates.dim() == 3 and len(estimates) == len(mixtures)
        return estimates if fits and estimates.shape[-1] == mixtures.shape[-1] else None

    @cached_property
    def control(self) -> Control | None:
        """The model on the bundled mixtures; None where they do not suit it (another rate, other sources)."""
        if self.network is None or self.rate != 8000 or self.broken_weights:
            return None
        try:
            return Control(self._must_separate) if self.n_src == 2 else None
        except (FileNotFoundError, ValueError, RuntimeError):
            return None  # no corpus here, or a network that can't run

    def _must_separate(self, mixtures: torch.Tensor) -> torch.Tensor:
        estimates = self.separate(mixtures)
        if estimates is None or not estimates.isfinite().all():
            raise RuntimeError("the network gives no estimates")
        return estimates

    # The mixture

    @cached_property
    def clean(self) -> torch.Tensor | None:
        """The mixture ``[T]`` mended and at the model's rate; later checks may replace it by a better one."""
        if self.sound is None:
            return None
        samples = self.sound.mended(self.rate or self.sound.rate)
        return samples if float(samples.abs().max()) > NOTHING else None

    @property
    def pieces(self) -> torch.Tensor | None:
        """The loudest three-second pieces of the clean mixture, at most three: ``[B, T]``."""
        return None if self.clean is None else loudest(self.clean, int(PIECE * (self.rate or 8000)))

    def rehear(self, pieces: torch.Tensor | None) -> Remix | None:
        """The remix score on these pieces; None when there is nothing to judge."""
        if pieces is None or self.network is None or self.broken_weights or (self.n_src or 0) < 2:
            return None
        try:
            return remix(self._must_separate, pieces)
        except RuntimeError:
            return None

    @cached_property
    def heard(self) -> Remix | None:
        """The remix score of the model on the clean mixture."""
        return self.rehear(self.pieces)

    def replace_clean(self, samples: torch.Tensor) -> None:
        """A check found a better form of the mixture; what was computed from the old one is forgotten."""
        self.clean = samples
        for name in ("heard", "own"):
            self.__dict__.pop(name, None)

    @cached_property
    def own(self) -> torch.Tensor | None:
        """The model's own estimates ``[S, T]`` of the clean mixture, as long as it is of at most a minute."""
        if self.clean is None or self.network is None:
            return None
        estimates = self.separate(self.clean[None, : int(LONGEST * (self.rate or 8000))])
        return estimates[0] if estimates is not None and estimates.isfinite().all() else None

    # What the user hears

    @property
    def outputs(self) -> torch.Tensor | None:
        """The user's estimates, else the model's own."""
        return self.estimates if self.estimates is not None else self.own

    @cached_property
    def own_score(self) -> float | None:
        """SI-SDRi (dB) of the model's own outputs under the best order, when there are references."""
        return None if self.own is None else self._improvement(self.own)

    def _improvement(self, outputs: torch.Tensor) -> float | None:
        if self.references is None or self.clean is None or len(self.references) != len(outputs):
            return None
        length = min(s.shape[-1] for s in (self.references, outputs, self.clean))
        references, outputs = self.references[:, :length], outputs[:, :length]
        if not references.isfinite().all() or not outputs.isfinite().all():
            return None
        after = si_sdr(best_order(outputs, references), references).mean()
        return float(after - si_sdr(self.clean[None, :length], references).mean())


def best_order(estimates: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """``[S, T]`` in the order that fits the references best."""
    _, order = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates[None], references[None])
    return reorder(estimates[None], order)[0]


def loudest(samples: torch.Tensor, length: int, count: int = 3) -> torch.Tensor:
    """The loudest pieces of ``[T]``, in their order: ``[at most count, length]``; a short one stays whole."""
    length = min(length, len(samples))
    pieces = samples.unfold(-1, length, length)
    chosen = pieces.square().mean(-1).topk(min(count, len(pieces))).indices.sort().values
    return pieces[chosen]
