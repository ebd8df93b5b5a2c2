"""The gates of LSTM and GRU layers: what share of them is stuck near 0 or 1, where no gradient passes.

The picture of saturated gates as a sign of trouble is from A. Karpathy, J. Johnson and L. Fei-Fei, "Visualizing and
Understanding Recurrent Networks" (arXiv 1506.02078).

Notebook: 05_training
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from .finding import PreflightFinding, number
from .trial import Clock, Skipped, Trial, TrialError

__all__ = ["check_gates", "gate_shares"]

NEAR = 0.02  # to 0 or 1: there the slope of the sigmoid is below a twelfth of its largest
SATURATED, MANY = 0.9, 0.6  # share of a layer's gates: failure, warning
SEQUENCES, STEPS = 16, 200  # of a layer that are looked at
GATES = {"LSTM": ("input", "forget", None, "output"), "GRU": ("reset", "update", None)}


@torch.no_grad()
def gate_shares(rnn: nn.RNNBase, x: torch.Tensor) -> dict[str, tuple[float, float]]:
    """For each gate the shares near 0 and near 1, over layers and directions; for a plain tanh RNN of its "state".

    Shape:
        - x: ``[steps, sequences, F]``
    """
    found: dict[str, list[torch.Tensor]] = {}
    for layer in range(rnn.num_layers):
        outputs = []
        for suffix in ("", "_reverse") if rnn.bidirectional else ("",):
            weights = {
                n: getattr(rnn, f"{n}_l{layer}{suffix}", None)
                for n in ("weight_ih", "weight_hh", "weight_hr")
            }
            biases = {n: getattr(rnn, f"{n}_l{layer}{suffix}", None) for n in ("bias_ih", "bias_hh")}
            inputs = x.flip(0) if suffix else x
            y = _one_direction(rnn, inputs, {k: v for k, v in (weights | biases).items() if v is not None})
            before = torch.cat((torch.zeros_like(y[:1]), y[:-1]))
            raw = inputs @ weights["weight_ih"].T + before @ weights["weight_hh"].T  # type: ignore[union-attr]
            raw = raw + sum(b for b in biases.values() if b is not None)
            names = GATES.get(rnn.mode)
            if names is None:
                found.setdefault("state", []).append((y + 1) / 2)
            else:
                for gate, part in zip(names, raw.chunk(len(names), -1), strict=True):
                    if gate is not None:
                        found.setdefault(gate, []).append(part.sigmoid())
            outputs.append(y.flip(0) if suffix else y)
        x = torch.cat(outputs, -1)
    shares = {}
    for gate, parts in found.items():
        values = torch.cat([part.flatten() for part in parts])
        shares[gate] = (float((values < NEAR).float().mean()), float((values > 1 - NEAR).float().mean()))
    return shares


def _one_direction(rnn: nn.RNNBase, x: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """States of one layer in one direction, ``[steps, sequences, H]``."""
    options: dict[str, Any] = {"bias": rnn.bias}
    if rnn.mode == "LSTM":
        options["proj_size"] = rnn.proj_size
    if rnn.mode.startswith("RNN"):
        options["nonlinearity"] = rnn.mode.removeprefix("RNN_").lower()
    kind = {"LSTM": nn.LSTM, "GRU": nn.GRU}.get(rnn.mode, nn.RNN)
    one = kind(x.shape[-1], rnn.hidden_size, device=x.device, dtype=x.dtype, **options)
    one.load_state_dict({f"{name}_l0": value for name, value in weights.items()})
    return one(x)[0]


@contextmanager
def _inputs_of(rnns: dict[str, nn.RNNBase]) -> Iterator[dict[str, torch.Tensor]]:
    """The input ``[steps, sequences, F]`` of each RNN at its latest call, an even choice of its sequences."""
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        def hook(rnn: Any, arguments: tuple) -> None:
            x = arguments[0] if arguments else None
            if not isinstance(x, torch.Tensor):
                return  # a packed sequence
            x = x.detach().unsqueeze(1) if x.dim() == 2 else x.detach()
            x = x.transpose(0, 1) if rnn.batch_first and arguments[0].dim() == 3 else x
            every = max(1, x.shape[1] // SEQUENCES)
            seen[name] = x[:STEPS, ::every][:, :SEQUENCES].contiguous()

        return hook

    handles = [rnn.register_forward_pre_hook(keep(name)) for name, rnn in rnns.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def check_gates(trial: Trial, clock: Clock) -> PreflightFinding:
    """The shares of saturated gates in each recurrent layer, on the small batch."""
    name = "gates"
    model = trial.copy()
    rnns = {n: m for n, m in model.named_modules() if isinstance(m, nn.RNNBase) and m.mode != "RNN_RELU"}
    if not rnns:
        return PreflightFinding(name, "ok", "the model has no LSTM, GRU or tanh RNN")
    with torch.no_grad(), _inputs_of(rnns) as inputs:
        try:
            trial.estimates(model, trial.small[0])
        except TrialError as error:
            raise Skipped(str(error)) from error
    layers: dict[str, dict[str, list[float]]] = {}
    worst, at, forgets = 0.0, "", []
    for layer, x in inputs.items():
        if clock.over:
            break
        shares = gate_shares(rnns[layer], x)
        layers[layer] = {gate: [number(v) for v in pair] for gate, pair in shares.items()}
        total = sum(low + high for low, high in shares.values()) / len(shares)
        if total >= worst:
            worst, at = total, layer
        forgets += [shares["forget"][0]] if "forget" in shares else []
    cut = "" if len(layers) == len(inputs) else f"{len(layers)} of {len(inputs)} layers"
    facts: dict[str, object] = {
        "saturated_share": number(worst),
        "layer": at,
        "near_0_and_near_1": layers,
        "forget_gates_near_0": number(max(forgets, default=0.0)),
    }
    expected = f"less than {MANY:.0%} of a layer's gates within {NEAR:g} of 0 or 1: no gradient passes there"
    remedy = "rnn.reset_parameters()  # PyTorch's initialisation; or a norm before the RNN"
    if worst >= MANY:
        return PreflightFinding(
            name, "failure" if worst >= SATURATED else "warning",
            f"{worst:.0%} of the gates of {at} are saturated", facts, expected, remedy, cut_short=cut,
        )  # fmt: skip
    return PreflightFinding(
        name, "ok", f"at most {worst:.0%} of the gates of a layer are saturated ({len(layers)} layers)",
        facts, expected, cut_short=cut,
    )  # fmt: skip
