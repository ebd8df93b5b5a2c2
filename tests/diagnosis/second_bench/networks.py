"""Networks and checkpoint files in the forms in which other projects have them."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from dprnn_lab import DPRNNTasNet
from dprnn_lab.checkpoint.asteroid import to_asteroid

__all__ = [
    "HandWritten", "asteroid_package", "lightning_checkpoint", "moved", "speechbrain_masknet", "tiny",
]  # fmt: skip


def tiny(**options: object) -> DPRNNTasNet:
    """A network of any shape, small enough to make in milliseconds."""
    return DPRNNTasNet(**{"bn_chan": 24, "hid_size": 20, "n_repeats": 2, "n_filters": 32, **options}).eval()


def moved(model: nn.Module, seed: int) -> nn.Module:
    """Weights as a training leaves them: wider than at the start, with long tails, gains and biases off 1 and 0."""
    random = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for name, value in state.items():
        if not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=random)
        if "running_var" in name:
            state[name] = (0.3 * noise).exp()
        elif "running_mean" in name:
            state[name] = 0.1 * noise
        else:
            spread = value.std() if value.numel() > 1 and float(value.std()) > 1e-6 else torch.tensor(0.15)
            state[name] = value + 0.8 * spread * noise * (1 + 0.5 * noise.abs())
    model.load_state_dict(state)
    return model.eval()


def asteroid_package(
    model: DPRNNTasNet,
    path: Path,
    keep: Callable[[str], bool] = lambda name: True,
    prefix: str = "",
    **arguments: object,
) -> Path:
    """`best_model.pth` as Asteroid 0.5 to 0.7 serialises it: name, arguments, weights, facts.

    Args:
        keep: which of Asteroid's names stay in the file.
        arguments: written in place of the model's own.
    """
    config = {k: v for k, v in model.config.items() if k not in ("min_low_hz", "min_band_hz")}
    features = model.encoder.filters.shape[0]
    state = to_asteroid({k: v.detach().clone() for k, v in model.state_dict().items()})
    torch.save(
        {
            "model_name": "DPRNNTasNet",
            "state_dict": OrderedDict((prefix + k, v) for k, v in state.items() if keep(k)),
            "model_args": {
                **config, "in_chan": features, "out_chan": features, "fb_name": "free", **arguments
            },
            "infos": {
                "task": "sep_clean", "dataset": "WHAM", "licenses": [],
                "software_versions": {"torch_version": "1.7.1", "pytorch-lightning_version": "1.1.0"},
            },
        },
        path,
    )  # fmt: skip
    return path


def lightning_checkpoint(
    state: dict[str, torch.Tensor], path: Path, hyper_parameters: dict | None = None, step: int = 41_200
) -> Path:
    """`epoch=19-step=41200.ckpt` as Lightning 1.x writes it for Asteroid's `System`."""
    names = list(state)
    moments = {
        i: {"step": step, "exp_avg": torch.zeros_like(state[n]), "exp_avg_sq": torch.ones_like(state[n])}
        for i, n in enumerate(names[:6])
    }
    group = {"lr": 5e-4, "betas": (0.9, 0.999), "params": list(range(len(names)))}
    stopping = {"wait_count": 2, "patience": 30, "best_score": torch.tensor(-11.2)}
    torch.save(
        {
            "epoch": 19,
            "global_step": step,
            "pytorch-lightning_version": "1.9.5",
            "state_dict": OrderedDict((f"model.{k}", v) for k, v in state.items()),
            "optimizer_states": [{"state": moments, "param_groups": [group]}],
            "lr_schedulers": [{"factor": 0.5, "patience": 5, "best": -11.2, "num_bad_epochs": 2}],
            "callbacks": {"EarlyStopping": stopping},
            "hyper_parameters": hyper_parameters or {},
        },
        path,
    )
    return path


def speechbrain_masknet(path: Path, seed: int) -> Path:
    """`masknet.ckpt` of SpeechBrain's `Dual_Path_Model` with its names: weights of the masks, no filterbank."""
    random = torch.Generator().manual_seed(seed)
    state = OrderedDict()

    def add(name: str, *shape: int) -> None:
        state[name] = torch.randn(*shape, generator=random) * 0.2

    add("norm.weight", 64)
    add("norm.bias", 64)
    add("conv1d.weight", 64, 64, 1)
    for block in range(2):
        for path_name in ("intra", "inter"):
            for direction in ("", "_reverse"):
                rnn = f"dual_mdl.{block}.{path_name}_mdl.mdl.rnn"
                add(f"{rnn}.weight_ih_l0{direction}", 4 * 32, 64)
                add(f"{rnn}.weight_hh_l0{direction}", 4 * 32, 32)
                add(f"{rnn}.bias_ih_l0{direction}", 4 * 32)
                add(f"{rnn}.bias_hh_l0{direction}", 4 * 32)
            add(f"dual_mdl.{block}.{path_name}_linear.w.weight", 64, 64)
            add(f"dual_mdl.{block}.{path_name}_norm.weight", 64, 1, 1)
    add("conv2d.weight", 128, 64, 1, 1)
    add("end_conv1x1.weight", 64, 64, 1)
    add("prelu.weight", 1)
    add("output.0.weight", 64, 64, 1)
    add("output_gate.0.weight", 64, 64, 1)
    torch.save(state, path)
    return path


class HandWritten(nn.Module):
    """A separator by hand: filterbank, one recurrent layer over frames, masks. Not the network of this package."""

    def __init__(self, n_src: int = 2, width: int = 32, kernel: int = 16, dropout: float = 0.0):
        super().__init__()
        self.n_src, self.sample_rate = n_src, RATE_OF_HAND_WRITTEN
        self.analysis = nn.Conv1d(1, width, kernel, stride=kernel // 2, bias=False)
        self.rnn = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.masks = nn.Linear(2 * width, n_src * width)
        self.synthesis = nn.ConvTranspose1d(width, 1, kernel, stride=kernel // 2, bias=False)

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        """``[B, T]`` to ``[B, S, T]``."""
        batch = mixture if mixture.dim() == 2 else mixture[None]
        frames = self.analysis(batch[:, None])
        hidden = self.dropout(self.rnn(frames.transpose(1, 2))[0])
        masks = self.masks(hidden).sigmoid().unflatten(-1, (self.n_src, -1)).permute(0, 2, 3, 1)
        waves = self.synthesis((masks * frames[:, None]).flatten(0, 1))[:, 0]
        waves = nn.functional.pad(waves, (0, batch.shape[-1] - waves.shape[-1]))
        estimates = waves.unflatten(0, (len(batch), self.n_src))
        return estimates if mixture.dim() == 2 else estimates[0]


RATE_OF_HAND_WRITTEN = 8000
