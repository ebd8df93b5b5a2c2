"""Group E: the model in training: dead outputs, dropout, chunk size.

Notebook: 07_failures_in_training
"""

import torch
from torch import nn

from ...model.dual_path import best_chunk_size, chunk_count
from ...model.filterbank import frame_count
from ..evidence import Evidence
from ..finding import Finding
from .curves import jump
from .verdict import check, fail, fine, note, number, undecided

__all__ = ["chunk_size", "dead_output", "eval_mode"]

DEAD_DB = -60.0  # relative to the mixture
ASSUMED_SECONDS = 4.0  # of an example, if there is no batch
MAX_STEPS_RATIO = 8.0  # to the steps of the best chunk size
AGREEMENT_DB = 60.0  # of two passes without dropout
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
REMEDY = "model = load_model(checkpoint)  # the last good checkpoint; resume with half the learning rate"


@check("dead-output")
def dead_output(e: Evidence) -> Finding:
    """Energy of the outputs, and a loss that jumped up and stayed."""
    if e.own is not None and len(e.own) > 1 and e.clean is not None:
        energy = e.own.square().mean(-1)
        under = 10 * torch.log10(energy / e.clean[: e.own.shape[-1]].square().mean().clamp(min=1e-12) + 1e-12)
        facts: dict[str, object] = {"outputs_to_mixture_db": [number(v, 1) for v in under]}
        if under.min() < DEAD_DB and not e.broken_weights:
            return fail(
                f"output {int(under.argmin()) + 1} is {-float(under.min()):.0f} dB under the mixture: dead",
                facts,
                f"{DEAD_DB:g} dB: the SI-SDR of silence is -80 dB, and its gradient is zero",
                REMEDY,
            )
        if e.run is None:
            return fine("no output is silent", facts)
    found = jump(e.run.column("train_loss")) if e.run is not None else None
    if found is None:
        return undecided("no outputs and no curve", "the model and a mixture, or the run")
    at, before, after, spread = found
    facts = {
        "jump_at": at,
        "before_db": number(before),
        "after_db": number(after),
        "spread_after_db": number(spread),
    }
    if after - before > 15 and after > 10:
        return fail(
            f"at step {at} the loss went from {before:.1f} to {after:.1f} dB and stayed: an output is dead",
            facts,
            "15 dB up, to over 10 dB: one of two outputs at +80 and the other at -10 have a mean of +35",
            REMEDY,
        )
    return fine("the loss did not jump to the value of a dead output", facts)


@check("eval-mode")
def eval_mode(e: Evidence) -> Finding:
    """Two passes in the mode in which the model was given, and a mixture alone and beside others."""
    if e.network is None:
        return undecided("there is no model", "the model as you use it")
    training = [(n, m) for n, m in e.network.named_modules() if m.training]
    if not training:
        return fine("the model is in evaluation mode" if e.live else "load_model gives evaluation mode")
    if e.broken_weights == "weights-corrupt":
        return undecided("the weights are not finite", "a model with finite weights")
    random = [
        n
        for n, m in training
        if (isinstance(m, _DROPOUTS) and m.p > 0) or (isinstance(m, nn.RNNBase) and m.dropout > 0)
    ]
    batch = [n for n, m in training if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    generator = torch.Generator().manual_seed(0)
    probes = e.on_device(torch.randn(3, 8000, generator=generator) * torch.tensor([[0.05], [0.5], [0.005]]))
    with torch.no_grad():
        first, second, beside = e.network(probes[:1]), e.network(probes[:1]), e.network(probes)[:1]
    twice, others = _agreement(first, second), _agreement(first, beside)
    facts = {
        "two_passes_agree_db": number(twice, 1),
        "alone_and_in_a_batch_agree_db": number(others, 1),
        "dropout": random[:8],
        "batch_norm": batch[:8],
    }
    why = f"{AGREEMENT_DB:g} dB: in evaluation mode they are equal"
    if twice < AGREEMENT_DB:
        what = f"dropout at {random[0]}" if random else "something random in it"
        says = f"the model is in training mode, and two passes on the same samples differ ({twice:.0f} dB): {what}"
        if batch:
            says += f"; batch norm at {batch[0]} depends on the batch, too"
        return fail(says, facts, why, "model = model.eval()")
    if batch or others < AGREEMENT_DB:
        what = (
            f"batch norm depends on the batch ({len(batch)} such layers, the first {batch[0]}), and every pass moves "
            "its running statistics"
            if batch
            else "something in it depends on the batch"
        )
        return fail(
            f"the model is in training mode: {what}; alone and beside others a mixture's results agree to "
            f"{others:.0f} dB",
            facts,
            why,
            "model = model.eval()",
        )
    return fine(
        "training mode, but two passes are equal, alone and in a batch: neither dropout nor batch norm", facts
    )


def _agreement(first: torch.Tensor, second: torch.Tensor) -> float:
    """Energy of one over that of the difference, dB; at most 120."""
    first, second = first.double(), second.double()
    ratio = first.square().sum() / ((first - second).square().sum() + 1e-20 * first.square().sum() + 1e-30)
    return min(120.0, float(10 * torch.log10(ratio + 1e-12)))


@check("chunk-size")
def chunk_size(e: Evidence) -> Finding:
    """Steps of the longer RNN, against those of the best chunk size."""
    config = e.settings
    if config is None:
        return undecided("no model with known settings", "the model, or its config")
    samples = e.batch[0].shape[-1] if e.batch is not None else int(ASSUMED_SECONDS * config["sample_rate"])
    frames = frame_count(
        samples, config["kernel_size"], config["stride"] or max(1, config["kernel_size"] // 2)
    )
    chunk, best = config["chunk_size"], best_chunk_size(frames)
    hop = config["hop_size"] or max(1, chunk // 2)
    count = chunk_count(frames, chunk, hop)
    longest, least = max(chunk, count), max(best, chunk_count(frames, best, max(1, best // 2)))
    cells, usual = count * chunk, chunk_count(frames, best, max(1, best // 2)) * best
    facts = {
        "frames": frames,
        "chunk_size": chunk,
        "chunks": count,
        "best_chunk_size": best,
        "longest": longest,
        "cells": cells,
        "cells_of_best": usual,
    }
    why = f"{MAX_STEPS_RATIO:g} times the steps of chunk_size={best} = sqrt(2 L)"
    if longest > MAX_STEPS_RATIO * least:
        which = "intra-chunk" if chunk > count else "inter-chunk"
        memory = f", and {cells / usual:.1f} times the memory" if cells > 1.2 * usual else ""
        return note(
            f"with chunk_size={chunk} the {which} RNN makes {longest} steps one after another, {least} are enough: "
            f"slower on a GPU{memory}. In our sweeps no score suffered, so look elsewhere for a bad separation",
            facts,
            why,
            f"config = config | {{'chunk_size': {best}, 'hop_size': None}}  # in a new training, not for these weights",
        )
    return fine(
        f"the longer RNN sees {longest} steps, with the best chunk size {least}",
        facts,
        f"{MAX_STEPS_RATIO:g} times",
    )
