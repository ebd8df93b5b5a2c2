"""Call a loss function with signals whose correct relation is known, in the form that it expects.

Probes: targets of independent noise, and estimates on a path from unrelated noise to the targets. The number of
sources is that of the user's batch or model, else the first of 2, 3, 1 and 4 that the function takes. A function may
want its arguments in the other order (judged by their names), further ones (a mixture, lengths, a mask), sources as a
list or one example at a time, and may return a number for the batch, for each example or for each source, alone or
first in a tuple, or in a dictionary.

Notebook: 07_failures_in_training
"""

import contextlib
import copy
import dataclasses
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

__all__ = ["Probes", "probe"]

SAMPLES = 8000  # enough for the frames of a multi-resolution STFT
LEVEL = 0.1  # RMS of the targets, as speech has
SNRS_DB = (10.0, 0.0, -10.0)  # of the estimates on the path; then noise alone
SOURCES = (2, 3, 1, 4)  # numbers that are tried when neither batch nor model says one
_TARGET_WORDS = ("target", "source", "ref", "clean", "true", "label", "gt")
_ESTIMATE_WORDS = ("est", "pred", "output", "separated", "hat")
_LOSS_KEYS = ("loss", "total_loss", "total", "value")


@dataclass
class Probes:
    """What a loss function gave on every probe.

    ``values`` are by probe: "in order", "all swapped" and so on; ``gradients`` are the norms of the gradient at the
    estimates "in order", per output.
    """

    n_src: int
    values: dict[str, float] = field(default_factory=dict)
    form: str = ""  # how the function was called, if not as documented
    returned: str = ""  # its type, if it is not a tensor that knows its gradient
    gradients: list[float] | None = None  # None if no gradient arrives at all
    error: str = ""  # of the call; then there are no values

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    @property
    def spread(self) -> float:
        """The difference between the highest and the lowest value: the unit for all comparisons."""
        finite = [v for v in self.values.values() if abs(v) < float("inf")]
        return max(finite) - min(finite) if finite else 0.0

    def differ(self, a: str, b: str, share: float) -> bool:
        """Whether two probes cost differently, by more than a share of the spread and of both values' rounding."""
        x, y = self.values[a], self.values[b]
        return not abs(x - y) <= share * self.spread + 1e-6 * max(abs(x), abs(y))  # NaN differs


def probe(loss: Callable, n_src: int | None = None) -> Probes:
    """The losses of all probes; ``error`` is set when the function takes none of the forms.

    Args:
        loss: the user's function; a module is copied, so that it stays as it was.
        n_src: the number of sources, if the user's batch or model says it.
    """
    if isinstance(loss, nn.Module):
        with contextlib.suppress(
            Exception
        ):  # as working_copy: it may hold anything; the engine restores its tensors
            loss = copy.deepcopy(loss)
    first: Probes | None = None
    counts = [n_src] if n_src else []
    for count in [*counts, *(n for n in SOURCES if n not in counts)]:
        for form in _forms(loss, count):
            found = _try(loss, count, form)
            if not found.error:
                return found
            first = first or found
    assert first is not None
    return first


# How the function is called: ``(estimates [B, S, T], targets [B, S, T], mixtures [B, T]) -> value``.
Call = Callable[[Callable, torch.Tensor, torch.Tensor, torch.Tensor], Any]


@dataclass(frozen=True)
class _Form:
    name: str
    call: Call


def _forms(loss: Callable, n_src: int) -> list[_Form]:
    """As documented first; other forms are tried when it raises."""
    names = _argument_names(loss)
    turned = _targets_first(names)
    further = names[2:] if names is not None else []

    def ordered(estimates: Any, targets: Any) -> tuple[Any, Any]:
        return (targets, estimates) if turned else (estimates, targets)

    def plain(f: Callable, e: torch.Tensor, t: torch.Tensor, m: torch.Tensor) -> Any:
        return f(*ordered(e, t))

    def extended(fill: Callable[[str, torch.Tensor, torch.Tensor], Any]) -> Call:
        def call(f: Callable, e: torch.Tensor, t: torch.Tensor, m: torch.Tensor) -> Any:
            return f(*ordered(e, t), *(fill(name, t, m) for name in further))

        return call

    def listed(f: Callable, e: torch.Tensor, t: torch.Tensor, m: torch.Tensor) -> Any:
        return f(*ordered(list(e.unbind(1)), list(t.unbind(1))))

    def single(f: Callable, e: torch.Tensor, t: torch.Tensor, m: torch.Tensor) -> Any:
        return torch.stack([_value(f(*ordered(a, b))) for a, b in zip(e, t, strict=True)])

    def flat(f: Callable, e: torch.Tensor, t: torch.Tensor, m: torch.Tensor) -> Any:
        return f(*ordered(e[:, 0], t[:, 0]))

    order = "targets first" if turned else ""
    forms = [_Form(order, plain)]
    if further:
        said = f"with {', '.join(further)}"
        forms += [
            _Form(said, extended(_by_name)),
            _Form(said, extended(lambda name, t, m: m)),
            _Form(said, extended(lambda name, t, m: torch.full((len(t),), t.shape[-1]))),
            _Form(said, extended(lambda name, t, m: torch.ones(t.shape[:2]))),
            _Form(said, extended(lambda name, t, m: torch.ones_like(t))),
            _Form(said, extended(lambda name, t, m: 1)),
            _Form(said, extended(lambda name, t, m: None)),
        ]
    forms += [_Form("lists of sources", listed), _Form("one example at a time", single)]
    if n_src == 1:
        forms.append(_Form("[B, T]", flat))
    return forms


def _argument_names(loss: Callable) -> list[str] | None:
    """Names of the arguments without a default; None when Python does not know them."""
    function = loss.forward if isinstance(loss, nn.Module) else loss
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in positional and p.default is p.empty]


def _targets_first(names: list[str] | None) -> bool:
    """Whether the first argument is called like a target and the second like an estimate."""
    if names is None or len(names) < 2:
        return False
    first, second = (name.lower() for name in names[:2])
    return (
        any(w in first for w in _TARGET_WORDS)
        and not any(w in first for w in _ESTIMATE_WORDS)
        and any(w in second for w in _ESTIMATE_WORDS)
    )


def _by_name(name: str, targets: torch.Tensor, mixtures: torch.Tensor) -> Any:
    """A value for a further argument, after its name."""
    text = name.lower()
    if "mask" in text or "weight" in text or "active" in text:
        return torch.ones(targets.shape[:2])
    if "len" in text or "samples" in text:
        return torch.full((len(targets),), targets.shape[-1])
    if text in ("step", "epoch", "it", "iteration"):
        return 1
    if "rate" in text or text in ("sr", "fs"):
        return 8000
    return mixtures


def _try(loss: Callable, n_src: int, form: _Form) -> Probes:
    place = _place(loss)
    found = Probes(n_src, form=form.name)
    targets, probes = _signals(n_src)
    same = targets[:, :1].expand_as(targets).contiguous()
    for name, estimates in probes.items():
        wanted = (same if name.startswith("one voice") else targets).to(place)
        near = estimates.to(place).clone().requires_grad_()
        try:
            torch.manual_seed(0)  # a loss with random parts draws the same ones for every probe
            returned = form.call(loss, near, wanted.clone(), wanted.sum(1))
            value = _value(returned)
        except Exception as error:  # a user's function may raise anything, and that is the finding
            text = str(error).splitlines()[0] if str(error) else ""
            return Probes(n_src, form=form.name, error=f"{type(error).__name__}: {text}")
        found.values[name] = float(value.detach().double().mean())
        if name == "in order":
            found.returned = "" if value.requires_grad else _kind(returned)
            found.gradients = _gradients(value, near)
    return found


def _signals(n_src: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Targets ``[B, S, T]``, and the estimates of every probe."""
    batch = max(3, n_src + 1)
    generator = torch.Generator().manual_seed(0)
    shape = (batch, n_src, SAMPLES)
    targets = LEVEL * torch.randn(shape, generator=generator)
    noise = LEVEL * torch.randn(shape, generator=generator)
    # In every example another output is the best, so that a loss which takes the best output takes each once.
    strength = torch.tensor(
        [[0.8 if s == b % n_src else 1.0 for s in range(n_src)] for b in range(batch)]
    ).unsqueeze(-1)

    def at(snr_db: float, clean: torch.Tensor = targets) -> torch.Tensor:
        share = 10 ** (-snr_db / 20)
        return (
            (clean + share * strength * noise) / (1 + share**2) ** 0.5
            if snr_db < 10
            else clean + share * strength * noise
        )

    near = at(SNRS_DB[0])
    same = targets[:, :1].expand_as(targets)
    probes = {
        "in order": near,
        **{f"{snr:g} dB": at(snr) for snr in SNRS_DB[1:]},
        "noise": noise,
        "one voice, in order": at(SNRS_DB[0], same),
        "one voice, 0 dB": at(0.0, same),
        "one voice, noise": noise,
    }
    if n_src > 1:
        mixed = near.clone()
        mixed[0] = near[0].roll(1, 0)
        mixture = targets.sum(1, keepdim=True).expand_as(targets)
        probes |= {
            "all swapped": near.roll(1, 1),
            "one example swapped": mixed,
            "the mixture in every output": mixture,
            # Louder than the mixture, so that no measure of the error takes one for the other.
            "the mixture and noise": torch.cat((mixture[:, :-1], 3 * noise[:, -1:]), 1),
        }
        for order in _further_orders(n_src):
            probes[f"order {' '.join(str(i + 1) for i in order)}"] = near[:, order]
        for i in range(n_src):
            for j in range(i):
                twice = near.clone()
                twice[:, i] = targets[:, j] + (near[:, i] - targets[:, i])
                probes[f"target {j + 1} twice, {i + 1} lost"] = twice
    return targets, probes


def _further_orders(n_src: int) -> list[list[int]]:
    """Orders beside the given one and "all swapped": two exchanged, rotations, the reverse. All, up to three sources.

    A function that leaves orders out (rotations only, the first few of a list) misses one of these.
    """
    given = list(range(n_src))
    orders = [given[k:] + given[:k] for k in range(1, n_src)]
    for i, j in itertools.combinations(given, 2):
        orders.append([j if s == i else i if s == j else s for s in given])
    orders.append(given[::-1])
    known = (given, [n_src - 1, *given[:-1]])
    return [list(o) for o in dict.fromkeys(map(tuple, orders)) if list(o) not in known]


def _place(loss: Callable) -> torch.Tensor:
    """A tensor on the device and in the dtype of the function's own numbers."""
    tensors = [*loss.parameters(), *loss.buffers()] if isinstance(loss, nn.Module) else []
    return next((t for t in tensors if t.is_floating_point()), torch.zeros(()))


def _value(returned: Any) -> torch.Tensor:
    """The loss in what a function returned: a number, a tensor, the first of a tuple, or an entry of a dictionary.

    Raises:
        TypeError: nothing of it is a number.
    """
    if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
        returned = dict(vars(returned))
    if isinstance(returned, Mapping):
        keys = [k for k in _LOSS_KEYS if k in returned] or list(returned)
        returned = returned[keys[0]] if keys else None
    elif isinstance(returned, Sequence) and not isinstance(returned, str) and len(returned):
        return _value(returned[0])
    if returned is None or isinstance(returned, str | Sequence):
        raise TypeError(f"the loss returned {_kind(returned)}, which is no number")
    return torch.as_tensor(returned)


def _kind(returned: Any) -> str:
    if isinstance(returned, torch.Tensor):
        return "a tensor without a gradient"
    return "nothing (None)" if returned is None else f"a {type(returned).__name__}"


def _gradients(value: torch.Tensor, estimates: torch.Tensor) -> list[float] | None:
    """The norm of the gradient at each output ``[B, S, T]``, over the batch; None when none arrives."""
    if not value.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(value.double().mean(), estimates, allow_unused=True)
    if gradient is None:
        return None
    return gradient.detach().double().transpose(0, 1).flatten(1).norm(dim=-1).tolist()
