"""What this machine is, as far as the speed of a model depends on it; known without importing torch."""

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """`cores` are those that this process may use; `accelerator` is a GPU's name, "" where there is none."""

    processor: str
    cores: int
    accelerator: str
    torch: str

    def __str__(self) -> str:
        cores = f"{self.cores} core{'s' if self.cores != 1 else ''}"
        return ", ".join(filter(None, (self.processor, cores, self.accelerator, f"torch {self.torch}")))


@cache
def this_machine() -> Machine:
    return Machine(_processor(), _cores(), _accelerator(), _torch())


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "an unknown processor"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _accelerator() -> str:
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        with suppress(OSError):
            for line in path.read_text(errors="replace").splitlines():
                name, _, value = line.partition(":")
                if name.strip() == "Model":
                    return value.strip()
    return "CUDA" if Path("/dev/nvidiactl").exists() else ""


def _torch() -> str:
    try:
        return version("torch")
    except PackageNotFoundError:
        return "none"
