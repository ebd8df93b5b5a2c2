"""The inputs in one form, and what the model does with them: each computed once, when first needed.

Notebook: 06_failures_at_inference
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import torch
from torch import nn

from ..audio import resample
from ..checkpoint import CheckpointError, load_model
from ..checkpoint.settings import DEFAULTS
from ..loss import PITLossWrapper, pairwise_neg_sisdr, reorder, si_sdr
from ..model import DPRNNTasNet
from ..separation.parallel import forward, goes_in_batches, in_parallel, usable_cores
from .checkpoint_file import CheckpointFile, examine
from .control import PIECE_SECONDS, Control, known_of
from .finding import Finding
from .initial_weights import Layer, layers
from .inputs import Inputs
from .loss_probes import Probes, probe
from .mixture import SILENT_PEAK, Recording, Signals, read_recording, read_signals
from .remix_consistency import RemixConsistency, remix_consistency
from .score_table import last_validation, read_scores
from .training_evidence import read_batch, read_data, read_run
from .untouched import working_copy

__all__ = ["Control", "Evidence", "best_order", "evaluation_mode", "loudest"]

MAX_SECONDS = 60.0  # that are separated in one pass
# Over it, what the references leave of the mixture may be another voice: one that is 15 dB under the other leaves this.
WHOLE_DB = -15.0


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode; afterwards each of its modules is in the mode it was in."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield network.eval()
    finally:
        for module, mode in modes:
            module.training = mode


class Evidence:
    """The inputs of :func:`dprnn_lab.diagnose`, read and checked.

    Attributes, None where the input is missing: ``file``, ``network``, ``recording``, ``references`` and
    ``estimates`` (``[S, T]``), ``given_references`` and ``given_estimates`` (with lengths and rates), ``batch``
    (mixtures ``[B, T]``, sources ``[B, S, T]``), ``loss``, ``run``, ``data``, ``scores``, ``reported``, ``speakers``.
    """

    def __init__(self, given: Inputs):
        self.given = given
        count = given.speakers
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ValueError(f"speakers is {count!r}: give the number of people in the mixture, from 1 on")
        self.found: dict[str, Finding] = {}  # of the checks so far
        self.config = dict(given.config or {})
        self.speakers, self.reported, self.loss = given.speakers, given.reported, given.loss
        model, checkpoint = given.model, given.checkpoint
        if isinstance(model, (str, os.PathLike)):
            model, checkpoint = None, model if checkpoint is None else checkpoint
        if model is not None and not isinstance(model, nn.Module):
            raise TypeError(f"model is {type(model).__name__}: give a path or a torch module")
        self.file: CheckpointFile | None = None if checkpoint is None else examine(checkpoint, self.config)
        self.live = model is not None
        self.network: nn.Module | None = working_copy(model) if model is not None else self._load()
        self.recording: Recording | None = None
        if given.mixture is not None:
            self.recording = read_recording(given.mixture, given.sample_rate, self.rate)
        self.given_references = _read(given.references, "references")
        self.references = self._signals(self.given_references)
        self.given_estimates = _read(given.estimates, "estimates")
        self.estimates = self._signals(self.given_estimates)
        self.run = None if given.run is None else read_run(given.run)
        self.batch = None if given.batch is None else read_batch(given.batch)
        self.data = None if given.data is None else read_data(given.data)
        scores = last_validation(given.run) if given.scores is None else given.scores
        self.scores = None if scores is None else read_scores(scores)

    def _signals(self, signals: Signals | None) -> torch.Tensor | None:
        """References or estimates ``[S, T]``; files at the recording's rate are brought to the model's, as it is."""
        if signals is None:
            return None
        wanted = self.rate
        if (
            wanted is None
            or signals.rate is None
            or self.recording is None
            or signals.rate != self.recording.rate
        ):
            return signals.samples
        return resample(signals.samples, signals.rate, wanted)

    def _load(self) -> nn.Module | None:
        if self.file is None or not self.file.loads:
            return None
        try:
            return load_model(self.file.path, report=True, **self.config)[0]
        except CheckpointError:
            return None

    # The findings so far

    def cause(self, *ids: str) -> str | None:
        """The first of these failures that was found."""
        return next((i for i in ids if i in self.found and self.found[i].state == "fail"), None)

    def suspected(self, failure: str) -> bool:
        """Whether this one was found, as a failure or a warning."""
        return failure in self.found and self.found[failure].bad

    @property
    def broken_weights(self) -> str | None:
        """A failure that makes the network's output meaningless."""
        return self.cause(
            "weights-unsafe", "weights-corrupt", "weights-unmatched", "weights-partial", "config-shape"
        )

    # The model

    @property
    def own_network(self) -> DPRNNTasNet | None:
        """The network if it is of this package, so that its configuration is known."""
        return self.network if isinstance(self.network, DPRNNTasNet) else None

    @property
    def settings(self) -> dict[str, Any] | None:
        """Every argument of the model; with neither model nor file, of the one that ``config`` describes."""
        if self.own_network is not None:
            return dict(self.own_network.config)
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
        if self.own_network is not None:
            return self.own_network.n_src
        return len(self.own) if self.own is not None else None

    @cached_property
    def layers(self) -> list[Layer]:
        """Of the network."""
        return [] if self.network is None else layers(self.network)

    def on_device(self, samples: torch.Tensor) -> torch.Tensor:
        """Samples on the device and in the dtype of the network's weights."""
        weights = [] if self.network is None else self.network.parameters()
        return samples.to(next((w for w in weights if w.is_floating_point()), torch.zeros(())))

    @torch.no_grad()
    def separate(self, mixtures: torch.Tensor) -> torch.Tensor | None:
        """``[B, T]`` to ``[B, S, T]``, in evaluation mode; None when the network can't."""
        if self.network is None:
            return None
        try:
            with evaluation_mode(self.network) as network:
                if self._in_parallel:
                    rows = ((i, partial(forward, network, row, "float32")) for i, row in enumerate(mixtures))
                    done = [future.result() for _, future in in_parallel(rows, usable_cores())]
                    estimates = torch.stack(done)
                else:
                    estimates = network(self.on_device(mixtures)).float().cpu()
        except Exception:  # a user's network may raise anything: that it can't run is the finding
            return None
        fits = estimates.dim() == 3 and len(estimates) == len(mixtures)
        return estimates if fits and estimates.shape[-1] == mixtures.shape[-1] else None

    @property
    def _in_parallel(self) -> bool:
        """Whether mixtures may be computed at the same time, a core each: a user's network may keep state in itself,
        and a softmax over the encoder's batch couples the mixtures.
        """
        own = self.own_network
        return (
            own is not None
            and own.config["encoder_activation"] != "softmax"
            and not goes_in_batches(next(own.parameters()).device)
        )

    def _must_separate(self, mixtures: torch.Tensor) -> torch.Tensor:
        estimates = self.separate(mixtures)
        if estimates is None or not estimates.isfinite().all():
            raise RuntimeError("the network gives no estimates")
        return estimates

    @cached_property
    def control(self) -> Control | None:
        """The model on the bundled mixtures; None for a model of another rate or number of sources."""
        if self.network is None or self.rate != 8000 or self.broken_weights:
            return None
        try:
            return Control(self._must_separate, known_of(self.network)) if self.n_src == 2 else None
        except (FileNotFoundError, ValueError, RuntimeError):
            return None  # no corpus here, or a network that can't run

    # The loss function

    @cached_property
    def loss_probes(self) -> Probes | None:
        """What the loss function gave on signals whose correct relation is known; None without one."""
        if self.loss is None:
            return None
        count = self.batch[1].shape[1] if self.batch is not None else None
        if count is None and self.own_network is not None:
            count = self.own_network.n_src
        return probe(self.loss, count or self.config.get("n_src"))

    # The mixture

    @property
    def people(self) -> int | None:
        """In the recording: as the user says, else the number of references, if they have sound in them and are all."""
        if self.speakers is not None or self.references is None or self.cause("silence", "not-finite"):
            return self.speakers
        return None if self.references_lack is not None else len(self.references)

    @property
    def references_lack(self) -> float | None:
        """What the sum of the references leaves of the mixture (dB), if that may be voices without a reference."""
        found = self.found.get("references-mismatch")
        rest = None if found is None else found.evidence.get("rest_db")
        if (
            self.references is None
            or not isinstance(rest, float)
            or len(self.references) >= (self.n_src or 0)
        ):
            return None
        return rest if rest > WHOLE_DB else None

    @cached_property
    def clean(self) -> torch.Tensor | None:
        """The mixture ``[T]`` cleaned, at the model's rate; a later check may replace it by a better version."""
        if self.recording is None:
            return None
        samples = self.recording.cleaned(self.rate or self.recording.rate)
        return samples if float(samples.abs().max()) > SILENT_PEAK else None

    @property
    def pieces(self) -> torch.Tensor | None:
        """The loudest three-second pieces of the clean mixture, at most three: ``[B, T]``."""
        return None if self.clean is None else loudest(self.clean, int(PIECE_SECONDS * (self.rate or 8000)))

    def rescore(self, pieces: torch.Tensor | None) -> RemixConsistency | None:
        """The remix consistency of the model on these pieces ``[B, T]``; None when it can't be computed."""
        if pieces is None or self.network is None or self.broken_weights or (self.n_src or 0) < 2:
            return None
        try:
            return remix_consistency(self._must_separate, pieces)
        except RuntimeError:
            return None

    @cached_property
    def score_on_mixture(self) -> RemixConsistency | None:
        """The remix consistency of the model on the clean mixture."""
        return self.rescore(self.pieces)

    def replace_clean(self, samples: torch.Tensor) -> None:
        """Use a better version of the mixture ``[T]``, and discard what was computed from the old one."""
        self.clean = samples
        for name in ("score_on_mixture", "own"):
            self.__dict__.pop(name, None)

    # The outputs

    @cached_property
    def own(self) -> torch.Tensor | None:
        """The model's own estimates ``[S, T]`` of the first minute of the clean mixture."""
        if self.clean is None or self.network is None:
            return None
        estimates = self.separate(self.clean[None, : int(MAX_SECONDS * (self.rate or 8000))])
        return estimates[0] if estimates is not None and estimates.isfinite().all() else None

    @property
    def outputs(self) -> torch.Tensor | None:
        """The user's estimates, else the model's own."""
        return self.estimates if self.estimates is not None else self.own

    @cached_property
    def own_score(self) -> float | None:
        """SI-SDRi (dB) of the model's own outputs under the best order, when there are references."""
        return None if self.own is None or self.clean is None else self.improvement(self.own, self.clean)

    def improvement(
        self, outputs: torch.Tensor, mixture: torch.Tensor, references: torch.Tensor | None = None
    ) -> float | None:
        """SI-SDRi (dB) of outputs ``[S, T]`` of a mixture ``[T]`` under the best order; None without references.

        The references are the user's, or others ``[S, T]`` in their place. Those of another mixture judge nothing.
        """
        references = self.references if references is None else references
        if references is None or len(references) != len(outputs) or self.cause("references-mismatch"):
            return None
        length = min(s.shape[-1] for s in (references, outputs, mixture))
        references, outputs = references[:, :length], outputs[:, :length]
        if not references.isfinite().all():
            return None
        after = si_sdr(best_order(outputs, references), references).mean()
        return float(after - si_sdr(mixture[None, :length], references).mean())


def _read(value: Any, name: str) -> Signals | None:
    return None if value is None else read_signals(value, name)


def best_order(estimates: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Estimates ``[S, T]`` in the order that fits the references ``[S, T]`` best."""
    _, order = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates[None], references[None])
    return reorder(estimates[None], order)[0]


def loudest(samples: torch.Tensor, length: int, count: int = 3) -> torch.Tensor:
    """The loudest pieces of ``[T]``, in temporal order: ``[at most count, length]``; a shorter signal stays whole."""
    length = min(length, len(samples))
    pieces = samples.unfold(-1, length, length)
    chosen = pieces.square().mean(-1).topk(min(count, len(pieces))).indices.sort().values
    return pieces[chosen]
