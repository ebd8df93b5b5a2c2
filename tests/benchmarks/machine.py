"""What the numbers were measured on: versions, processor, and what a plain matrix product reaches."""

import os
import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version

import torch

PACKAGES = ("dprnn-lab", "asteroid", "torch", "onnxruntime", "numpy")


def describe(threads: int, sgemm: float) -> dict[str, str]:
    """No name of the machine, no path."""
    return {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "threads used": str(threads),
        "vector units as PyTorch uses them": torch.backends.cpu.get_cpu_capability(),
        "sgemm (torch, 2048 x 2048)": f"{sgemm:.0f} GFLOP/s",
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
    """The version, also of our own package where it is used from its folder."""
    try:
        return version(name)
    except PackageNotFoundError:
        if name == "dprnn-lab":
            import dprnn_lab

            return dprnn_lab.__version__
        return "not installed"


def sgemm_gflops(turns: int = 15, size: int = 2048) -> float:
    """Billions of float32 operations a second in a large matrix product (median)."""
    a, b = torch.randn(2, size, size)
    a @ b
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(times) / 1e9
