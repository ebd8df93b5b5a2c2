"""Store what Asteroid 0.7.0 computes, for test_asteroid.py to compare with where Asteroid is not installed.

Usage, in an environment that has asteroid, at the root of the repository::

    python tests/reference/make_asteroid_reference.py

Each ``asteroid_NAME.safetensors`` beside this script holds one small seeded model of Asteroid: its weights
(``state.*``), an input, its output, and its arguments (metadata ``config``). The input is a quarter of a
second of real speech. ``asteroid_losses.safetensors`` holds the values of Asteroid's losses. Nothing of
dprnn_lab is used here.
"""

import json
from pathlib import Path

import asteroid.losses
import soundfile
import torch
from asteroid.models import DPRNNTasNet
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parent
SPEECH = FOLDER.parents[1] / "data" / "speech"
SMALL = {"n_src": 2, "bn_chan": 8, "hid_size": 6, "n_filters": 10, "n_repeats": 2}
CONFIGS = {
    "default": {},
    "cln": {"norm_type": "cLN", "chunk_size": 31},
    "mulcat": {"use_mulcat": True, "n_repeats": 1},
    "gru": {"rnn_type": "GRU", "bidirectional": False, "norm_type": "cLN"},
    "three": {"n_src": 3, "mask_act": "softmax", "encoder_activation": "prelu"},
    "odd": {"kernel_size": 15, "stride": 4, "chunk_size": 30, "hop_size": 7, "mask_act": "relu"},
    "stft": {"fb_name": "stft", "n_filters": 16, "n_repeats": 1, "norm_type": "fgLN"},
    "analytic": {"fb_name": "analytic_free", "n_repeats": 1, "norm_type": "bN"},
    "sinc": {"fb_name": "param_sinc", "n_repeats": 1, "out_chan": 1},
}
KINDS = ("neg_sisdr", "neg_sdsdr", "neg_snr")


def speech(count: int) -> torch.Tensor:
    """A quarter of a second, 2 s into each of ``count`` utterances of Carlo, ``[count, T]``."""
    files = sorted((SPEECH / "carlo").rglob("*.flac"))
    clips = (soundfile.read(file, dtype="float32", start=16_000)[0] for file in files)
    clips = [
        torch.from_numpy(clip[:2000]) for clip in clips if len(clip) >= 2000 and clip[:2000].std() > 0.02
    ]
    return torch.stack(clips[:count])


def model_reference(name: str, options: dict) -> None:
    torch.manual_seed(0)
    config = {**SMALL, **options}
    model = DPRNNTasNet(**config).eval()
    for parameter in model.parameters():
        # Norms start at 1 and 0: move them, so that a gain in the place of a bias would show.
        parameter.data += 0.1 * torch.randn_like(parameter)
    mixture = speech(1)[0]
    model.train()(mixture)  # batch norm takes its running statistics from it
    model.eval()
    with torch.no_grad():
        output = model(mixture)
    tensors = {f"state.{key}": value.contiguous() for key, value in model.state_dict().items()}
    tensors |= {"input": mixture, "output": output.contiguous()}
    save_file(tensors, FOLDER / f"asteroid_{name}.safetensors", {"config": json.dumps(config)})


def loss_reference() -> None:
    torch.manual_seed(0)
    clips = speech(6)[:, :400]
    targets = clips.reshape(2, 3, 400).contiguous()
    mixed = torch.tensor([[0.2, 1.0, 0.1], [0.1, 0.3, 1.5], [0.9, 0.1, 0.2]])
    estimates = mixed @ targets + 0.02 * torch.randn(2, 3, 400)
    tensors = {"targets": targets, "estimates": estimates}
    for kind in KINDS:
        for form in ("pairwise", "singlesrc", "multisrc"):
            function = getattr(asteroid.losses, f"{form}_{kind}")
            pair = (estimates[:, 0], targets[:, 1]) if form == "singlesrc" else (estimates, targets)
            tensors[f"{form}_{kind}"] = function(*pair)
        wrapper = asteroid.losses.PITLossWrapper(getattr(asteroid.losses, f"pairwise_{kind}"))
        value, ordered = wrapper(estimates, targets, return_est=True)
        tensors |= {f"pit_{kind}": value, f"ordered_{kind}": ordered.contiguous()}
    save_file(tensors, FOLDER / "asteroid_losses.safetensors")


if __name__ == "__main__":
    for name, options in CONFIGS.items():
        model_reference(name, options)
    loss_reference()
