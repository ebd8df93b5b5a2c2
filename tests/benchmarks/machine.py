"""What the numbers were measured on: versions, processor, and what a large matrix product reaches."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

PACKAGES = ("dprnn-lab", "asteroid", "torch", "onnxruntime", "numpy")


def describe(threads: int, cores: int, peak: dict[str, float]) -> dict[str, str]:
    """No name of the machine, no path."""
    return {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "threads used": f"{threads}; for long files {cores}",
        "vector units as PyTorch uses them": torch.backends.cpu.get_cpu_capability(),
        "a large product on the threads used": "; ".join(f"{k} {v:.0f} GFLOP/s" for k, v in peak.items()),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        **{name: installed(name) for name in PACKAGES},
        "load average at the start": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def installed(name: str) -> str:
    """The version; of our own package that of the code which runs, whatever is installed."""
    if name == "dprnn-lab":
        import dprnn_lab

        return dprnn_lab.__version__
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
