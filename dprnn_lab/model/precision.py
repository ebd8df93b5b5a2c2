"""The precision in which a network computes: float32, or bfloat16 where the processor or GPU has it.

bfloat16 has the exponent of float32 and 8 bits of significand instead of 24. PyTorch's autocast computes the matrix
products and RNNs in it and the norms in float32; the weights stay as they are. tests/benchmarks/precision.md has what
it costs in dB. Figures are computed in float32: a score must not depend on the processor.

Notebook: 09_long_audio
"""

import os
from contextlib import AbstractContextManager, nullcontext

import torch

__all__ = ["PRECISIONS", "check_precision", "computing_in", "has_bfloat16", "resolve_precision"]

PRECISIONS = ("auto", "float32", "bfloat16")
AUTO = "DPRNN_LAB_PRECISION"  # environment variable: what "auto" stands for, where all machines must compute alike


def check_precision(precision: str) -> None:
    """Raise a ValueError for an unknown precision."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}: choose one of {', '.join(PRECISIONS)}")


def has_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether a device computes in bfloat16 itself; other devices convert every value, which is slower than float32.

    On x86 the instruction sets are AVX512-BF16 and AMX-BF16 (processors with AMX tiles have the latter). For other
    processors PyTorch does not say: False.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu":
        return False
    # PyTorch has no public function for this; a release without these says False.
    tests = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return any(test is not None and test() for test in tests)


def resolve_precision(precision: str, device: torch.device | str = "cpu") -> str:
    """ "auto" as "bfloat16" or "float32", whichever suits the device; the other two as they are.

    The environment variable DPRNN_LAB_PRECISION, float32 or bfloat16, decides in the device's place.

    Raises:
        ValueError: an unknown precision, also in the environment variable.

    >>> resolve_precision("float32")
    'float32'
    """
    check_precision(precision)
    if precision != "auto":
        return precision
    set_by_user = os.environ.get(AUTO, "auto")
    if set_by_user not in PRECISIONS:
        raise ValueError(
            f"the environment variable {AUTO} is {set_by_user!r}: set it to float32 or bfloat16, or unset it"
        )
    if set_by_user != "auto":
        return set_by_user
    return "bfloat16" if has_bfloat16(device) else "float32"


def computing_in(precision: str, device: torch.device | str = "cpu") -> AbstractContextManager:
    """A context in which a network on ``device`` computes in this precision; for the calling thread alone.

    float64 weights compute in float64 in either precision.
    """
    if resolve_precision(precision, device) == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)
