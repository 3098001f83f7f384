"""How much memory this process takes, and what it can give back."""

import ctypes
import gc
import sys
import threading
from contextlib import suppress
from pathlib import Path

_IMPORTING = threading.Lock()


def resident() -> int:
    """Bytes of this process in memory now."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak() -> int:
    """The most that this process has had, since the last `forget_peak` where the system knows it."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget_peak() -> bool:
    """Begins to measure the peak anew; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def import_engine() -> None:
    """Imports what every model needs, so that its memory is not taken for the first model's.

    transformers puts another module in its place while it is imported. A thread that waits for that import gets the
    first one, which lacks nearly everything; asking again gives the whole one.
    """
    with _IMPORTING:
        try:
            _import_engine()
        except ImportError:
            _import_engine()


def _import_engine() -> None:
    import torch
    from transformers import (  # noqa: F401
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForSeq2SeqLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )
    from transformers.generation import utils  # noqa: F401
    from transformers.models.llama import modeling_llama  # noqa: F401
    from transformers.models.t5 import modeling_t5  # noqa: F401

    torch.ones(2, 2) @ torch.ones(2, 2)


def release() -> None:
    """Frees what only cycles hold, and gives what the allocator keeps back to the system."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def machine_memory(root: Path = Path("/")) -> int:
    """Bytes that this process can still take: what the machine has free, or what is left to its control group."""
    import psutil

    room = psutil.virtual_memory().available
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, inside = line.split(":", 2)
            if controllers in ("", "memory"):
                top = root / "sys/fs/cgroup" / controllers
                folder = top / inside.lstrip("/")
                for ancestor in (folder, *folder.parents):
                    if ancestor.is_relative_to(top):
                        room = min(room, _left(ancestor))
    return max(0, room)


def _left(group: Path) -> int:
    """What a control group (of either version) allows beyond what is in use and cannot be dropped."""
    for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        with suppress(OSError, ValueError):
            allowed, used = int((group / limit).read_text()), int((group / usage).read_text())
            lines = (group / "memory.stat").read_text().splitlines()
            return allowed - used + sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    return sys.maxsize
