"""The machine that a run asks for, checked before anything is loaded or written: processors, processes, precision.

Notebook: 05_training
"""

import os

import torch

from ..model.precision import has_bfloat16 as has_bfloat16_on

__all__ = [
    "ACCELERATORS",
    "PRECISIONS",
    "check_machine",
    "has_bfloat16",
    "is_first_process",
    "launched_by_us",
    "lightning_precision",
]

ACCELERATORS = ("cpu", "gpu", "cuda", "mps", "auto")
PRECISIONS = ("32-true", "bf16-mixed", "auto")
OTHERS = {"tpu": "PyTorch/XLA", "hpu": "Intel Gaudi"}  # known to Lightning, and not tried with this package


def has_bfloat16(accelerator: str) -> bool:
    """Whether the processor, or GPU, has instructions for bfloat16; without them it is slower than float32.

    :func:`dprnn_lab.model.precision.has_bfloat16` says which those are.
    """
    if torch.cuda.is_available() and accelerator in ("gpu", "cuda", "auto"):
        return has_bfloat16_on("cuda")
    if accelerator in ("mps", "gpu") or (accelerator == "auto" and torch.backends.mps.is_available()):
        return False
    return has_bfloat16_on("cpu")


def lightning_precision(precision: str, accelerator: str) -> str:
    """ "auto" as "bf16-mixed" where :func:`has_bfloat16` says so, and "32-true" elsewhere; the others as they are.

    These are Lightning's names, of a training; :func:`dprnn_lab.model.precision.resolve_precision` has PyTorch's names,
    of separating and scoring, where an environment variable has a say.

    >>> lightning_precision("32-true", "cpu")
    '32-true'
    """
    if precision != "auto":
        return precision
    return "bf16-mixed" if has_bfloat16(accelerator) else "32-true"


def check_machine(accelerator: str, devices: int, num_nodes: int, precision: str) -> None:
    """Whether this machine has what a run asks for.

    Raises:
        ValueError: an accelerator, a number of devices or a precision that this machine does not have.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}: choose {' or '.join(PRECISIONS)}")
    if accelerator not in ACCELERATORS:
        why = (
            f" ({OTHERS[accelerator]}, which training here does not support)" if accelerator in OTHERS else ""
        )
        raise ValueError(f"accelerator is {accelerator!r}{why}: choose {', '.join(ACCELERATORS)}")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    if accelerator == "cuda" or (accelerator == "gpu" and not mps):
        if not gpus:
            raise ValueError(
                f"accelerator is {accelerator!r}: PyTorch {torch.__version__} finds no GPU on this machine; leave it "
                "out, or give cpu (on a machine with a GPU: install a PyTorch built for it)"
            )
    elif accelerator == "mps" and not mps:
        raise ValueError(
            "accelerator is 'mps': only Macs with Apple's chips have it; leave it out, or give cpu"
        )
    on_cuda = gpus and accelerator in ("gpu", "cuda", "auto")
    if on_cuda:
        if devices > gpus:
            raise ValueError(
                f"devices is {devices}: this machine has {_count(gpus, 'GPU')}; give {gpus} or fewer"
            )
        if precision == "bf16-mixed" and not torch.cuda.is_bf16_supported():
            raise ValueError("precision is 'bf16-mixed': this GPU has no bfloat16; give 32-true")
    elif mps and accelerator in ("gpu", "mps", "auto"):
        if devices > 1:
            raise ValueError(f"devices is {devices}: a Mac has one GPU; give 1")
    else:
        cores = max(2, os.cpu_count() or 1)
        if devices > cores:
            raise ValueError(
                f"devices is {devices}: on a CPU each is a process of its own, and this machine has "
                f"{_count(cores, 'core')}; give {cores} or fewer"
            )
    if num_nodes > 1 and not any(
        name in os.environ for name in ("MASTER_ADDR", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")
    ):
        raise ValueError(
            f"num_nodes is {num_nodes}: nothing says where the other machines are, and the run would wait for them; "
            "set MASTER_ADDR, MASTER_PORT and NODE_RANK on each, or start it with torchrun or SLURM"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def is_first_process() -> bool:
    """Whether this is the process of a run that writes files and messages: the only one, or rank 0 of several."""
    for name in ("RANK", "SLURM_PROCID"):
        if os.environ.get(name, "").isdigit() and (name == "RANK" or "SLURM_NTASKS" in os.environ):
            return int(os.environ[name]) == 0
    local, node = os.environ.get("LOCAL_RANK", "0"), os.environ.get("NODE_RANK", "0")
    return local in ("", "0") and node in ("", "0")


def launched_by_us() -> bool:
    """Whether this process was started by the first process of the run, and not by torchrun or SLURM."""
    return os.environ.get("LOCAL_RANK", "0") != "0" and not {"RANK", "SLURM_PROCID"} & os.environ.keys()
