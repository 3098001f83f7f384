"""What a fine-tuning run needs at its peak, by category, foreseen without allocating it.

One step runs on tensors that have a shape and no content (torch's `FakeTensorMode`), and every storage that it makes
is counted from its birth to its death. So whatever the step really does counts: frozen weights, adapters,
checkpointing, tied weights, dropout's masks, copies of the logits. All layers run, none is extrapolated: a model of
7 billion parameters takes 3 s and no memory to speak of.

The kernels are those of the device that `build` puts the model on, which torch must be built for. A GPU needs less than
a plan for the CPU says, whose attention with dropout keeps the probabilities and whose dropout a mask of floats.

`peak` is what the process holds then: what is alive, and what glibc keeps beyond that (`held`), for which the births
and deaths of the first three steps are gone through by the heap's own arithmetic (`heap.Heap`).
"""

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from genai_lab.memory import machine_memory

if TYPE_CHECKING:
    import torch

__all__ = ["GPUS", "MemoryPlan", "batch_of", "learned_token_loss", "machine_memory", "plan", "token_loss"]
MIB = 2**20
# What nvidia-smi gives as a card's total.
GPUS: dict[str, int] = {
    name: MIB * size
    for name, size in {
        "RTX 3060 12 GB": 12_288,
        "T4": 15_360,
        "RTX 4080": 16_376,
        "V100 16 GB": 16_384,
        "A10G": 23_028,
        "L4": 23_034,
        "RTX 4090": 24_564,
        "RTX 3090": 24_576,
        "RTX 5090": 32_607,
        "V100 32 GB": 32_768,
        "A100 40 GB": 40_960,
        "L40S": 46_068,
        "RTX A6000": 49_140,
        "A100 80 GB": 81_920,
        "H100": 81_559,
        "H200": 143_771,
        "B200": 183_359,
    }.items()
}
# Bytes that a process gains by its first step beside all tensors: code of models, kernels and their scratch. Measured
# on the CPU as 27 to 33 MB in every float32 case (37 with bfloat16) of benchmarks/memory.py.
CODE = 28_000_000
# What a worker takes before it loads a model (measured as 531 to 542 MB).
PROCESS = 535_000_000
STEPS = 3
# What glibc's heap takes beyond the best fit that `Heap` reckons with: 0.97 to 1.34 of it, measured in the 20 cases of
# benchmarks/memory.py.
SPILL = 1.14
Kind = Literal["weights", "gradients", "optimiser", "activations", "temporaries"]
Step = Literal["decoder-only", "encoder-decoder", "classifier", "masked"]


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes, and numbers of parameters.

    `weights` (with buffers), `gradients` and `optimiser` are what each takes when all of it is there; `activations`
    (made by the forward pass) and `temporaries` (made by the backward pass or the optimiser) are what is alive at the
    moment of the peak. Gradients come while activations go, so that `peak` is less than the sum of all five; it holds
    what the allocator keeps (`held`) and the code of kernels. On the CPU it is of the whole process, of which `process`
    is what it takes before the model is loaded: Python, torch and the lab. `models` are the weights of other models
    that stay in memory.
    """

    weights: int
    gradients: int
    optimiser: int
    activations: int
    temporaries: int
    peak: int
    trained: int
    parameters: int
    held: int = 0
    process: int = 0
    models: int = 0

    @property
    def needed(self) -> int:
        """The peak without what glibc holds and the process itself, as another allocator would need it."""
        return self.peak - self.held - self.process

    def of_a_process(self) -> "MemoryPlan":
        """The same of the whole process that trains on the CPU."""
        return replace(self, process=PROCESS, peak=self.peak + PROCESS)

    @property
    def share(self) -> float:
        """The part of the parameters that is trained, 0 to 1."""
        return self.trained / max(1, self.parameters)


def plan(
    build: Callable[[], Any],
    batch: Callable[[], dict[str, Any]],
    *,
    loss: Callable[[Any, dict[str, Any]], "torch.Tensor"] | None = None,
    gradient_checkpointing: bool = False,
    autocast: str | None = None,
) -> MemoryPlan:
    """The memory of a step of AdamW, from the second one on, when the optimiser's states are there.

    `build` makes the module and `batch` what it is given, both called under FakeTensorMode: from a config, never from
    weights. `loss` gets the module's output, for all of the batch but its labels, and the batch; without one it is
    `learned_token_loss`. `autocast` names a dtype, such as "bfloat16".
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        with _building():
            model = build()
        model.train()
        if gradient_checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})
        given = batch()
        ledger = _Ledger()
        for weight in (*model.parameters(), *model.buffers()):
            ledger.note(weight, "weights")
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        device = next(model.parameters()).device.type
        dtype = getattr(torch, autocast) if autocast else None
        with ledger.counting():
            optimiser, states = _with_states(trained, ledger)
            ledger.begin("activations")
            with torch.autocast(device, dtype) if dtype else contextlib.nullcontext():
                value = loss(model(**fields_of(given)), given) if loss else learned_token_loss(model, given)
            ledger.kind = "temporaries"
            value.backward()
            del value
            learned = len(ledger.events)
            optimiser.step()
    held = max(0, _heap_peak(ledger, learned, states) - ledger.peak)
    return MemoryPlan(
        weights=ledger.at_peak["weights"],
        gradients=ledger.alive["gradients"],
        optimiser=ledger.alive["optimiser"],
        activations=ledger.at_peak["activations"],
        temporaries=ledger.at_peak["temporaries"],
        peak=ledger.peak + held + CODE,
        trained=sum(weight.numel() for weight in trained),
        parameters=sum(weight.numel() for weight in model.parameters()),
        held=held,
    )


def _heap_peak(ledger: "_Ledger", learned: int, states: list[int]) -> int:
    """What the process holds at most over STEPS steps; the optimiser's states are born at the end of the first.

    The ledger has seen a step with states: its first `learned` events are forward and backward pass.
    """
    from genai_lab.glibc_heap import Heap

    heap = Heap()
    lasting = [(block, size) for block, size in ledger.before if block not in states]
    heap.replay(lasting)
    stays = set(heap.alive())
    for step in range(STEPS):
        heap.replay(ledger.events[:learned])
        if step == 0:
            heap.replay((block, size) for block, size in ledger.before if block in states)
            stays |= set(states)
        heap.replay(ledger.events[learned:])
        for block in heap.alive():
            if block not in stays:
                heap.die(block)
    return round(SPILL * heap.peak)


def fields_of(batch: dict[str, Any]) -> dict[str, Any]:
    """What of a batch the module reads."""
    return {name: value for name, value in batch.items() if name not in ("labels", "learned")}


def learned_token_loss(module: Any, batch: dict[str, Any]) -> "torch.Tensor":
    """Cross-entropy a learned token, as runs that learn tokens or classes have it: logits at `learned` alone."""
    from genai_lab.training.learned_positions import head_at, logits_at, summed_cross_entropy

    labels = batch["labels"]
    if labels.dim() == 1:
        return summed_cross_entropy(module(**fields_of(batch)).logits, labels) / len(labels)
    positions, width = batch["learned"], labels.shape[1]
    with head_at(module, positions, width):
        logits = logits_at(module(**fields_of(batch)).logits, positions, width)
    return summed_cross_entropy(logits, labels.view(-1).index_select(0, positions)) / len(positions)


def token_loss(output: Any, batch: dict[str, Any]) -> "torch.Tensor":
    """Cross-entropy a label; logits that virtual tokens put before the labels' are left out."""
    from torch.nn.functional import cross_entropy

    logits, labels = output.logits, batch["labels"]
    if logits.dim() == 3:
        logits = logits[:, -labels.shape[1] :]
    logits = logits.float().reshape(-1, logits.shape[-1])
    return cross_entropy(logits, labels.view(-1), ignore_index=-100, reduction="sum") / labels.numel()


def batch_of(family: str, rows: int, length: int, target: int = 0) -> "dict[str, torch.Tensor]":
    """The fields of a batch, int64 (rows, length), as training makes them; `family` is a card's, or "masked".

    Labels: (rows, length), (rows, target) for an encoder-decoder, whose decoder reads them shifted by one, and (rows,)
    for a classifier. `learned` are the positions in the flattened labels that are learned: all, or the last `target` of
    each row of a decoder or masked encoder.
    """
    import torch

    def tokens(width: int) -> torch.Tensor:
        return torch.full((rows, width), 3, dtype=torch.long)

    batch = {"input_ids": tokens(length), "attention_mask": torch.ones(rows, length, dtype=torch.long)}
    if family == "encoder-decoder":
        labels = tokens(target or length)
        begin = torch.zeros(rows, 1, dtype=torch.long)
        decoder = {"decoder_input_ids": torch.cat((begin, labels[:, :-1]), 1)}
        return {**batch, "labels": labels, **decoder, "learned": torch.arange(labels.numel())}
    if family in ("classifier", "reward"):
        return {**batch, "labels": torch.zeros(rows, dtype=torch.long)}
    if family in ("decoder-only", "masked"):
        places = torch.arange(rows * length).view(rows, length)
        learned = places[:, -min(target or length, length) :].reshape(-1)
        return {**batch, "labels": tokens(length), "learned": learned}
    raise ValueError(f"{family!r} is not a family that is trained")


def _with_states(trained: list[Any], ledger: "_Ledger") -> tuple[Any, list[int]]:
    """(an optimiser that has made a step, the blocks of its states); the gradients are gone again.

    Later gradients enter the ledger as such.
    """
    import torch

    def noted(weight: Any) -> None:
        ledger.note(weight.grad, "gradients")

    for weight in trained:
        weight.register_post_accumulate_grad_hook(noted)
        weight.grad = torch.empty_like(weight)
    optimiser = torch.optim.AdamW(trained)
    optimiser.step()
    states = []
    for state in optimiser.state.values():
        for value in state.values():
            states.append(ledger.note(value, "optimiser"))
    optimiser.zero_grad(set_to_none=True)
    return optimiser, states


class _Ledger:
    """The bytes of the storages that are alive, by kind, and what they were at the highest moment since `begin`.

    `events` are the births and deaths since then, `before` what was alive at that moment, as (block, bytes).
    """

    def __init__(self) -> None:
        self.alive: dict[Kind, int] = dict.fromkeys(
            ("weights", "gradients", "optimiser", "activations", "temporaries"), 0
        )
        self._known: dict[int, _Entry] = {}
        self._blocks: dict[int, int] = {}
        self._number = 0
        self.begin("temporaries")

    def begin(self, kind: Kind) -> None:
        """New storages are of `kind` from now on; earlier peaks are forgotten."""
        self.kind, self.peak, self.at_peak = kind, 0, dict(self.alive)
        self.events: list[tuple[int, int]] = []
        self.before = list(self._blocks.items())

    def note(self, tensor: "torch.Tensor", kind: Kind | None = None) -> int:
        """Counts the tensor's storage; one that is known already is counted as `kind`, if one is given. Its block."""
        storage = tensor.untyped_storage()
        entry = self._known.get(id(storage))
        if entry is None or entry.storage() is not storage:
            self._number += 1
            entry = _Entry(kind or self.kind, storage.nbytes(), self._number)
            entry.storage = weakref.ref(storage, lambda _: self._end(entry))
            self._known[id(storage)] = entry
            self._blocks[entry.block] = entry.size
            self.events.append((entry.block, entry.size))
            self._add(entry.kind, entry.size)
        elif kind and kind != entry.kind:
            self.alive[entry.kind] -= entry.size
            self.alive[kind] += entry.size
            entry.kind = kind
        return entry.block

    def _end(self, entry: "_Entry") -> None:
        del self._blocks[entry.block]
        self.events.append((entry.block, -1))
        self._add(entry.kind, -entry.size)

    def _add(self, kind: Kind, size: int) -> None:
        self.alive[kind] += size
        total = sum(self.alive.values())
        if total > self.peak:
            self.peak, self.at_peak = total, dict(self.alive)

    def counting(self) -> Any:
        """A context in which the results of all operations are noted."""
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode
        from torch.utils._pytree import tree_leaves

        ledger = self

        class Counting(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                batch = func(*args, **(kwargs or {}))
                for leaf in tree_leaves(batch):
                    if isinstance(leaf, torch.Tensor):
                        ledger.note(leaf)
                return batch

        return Counting()


class _Entry:
    storage: Callable[[], Any]

    def __init__(self, kind: Kind, size: int, block: int) -> None:
        self.kind, self.size, self.block = kind, size, block


_BUILDING = threading.RLock()


@contextlib.contextmanager
def _building() -> Iterator[None]:
    """Meanwhile fake modules can be converted (`Module.to` and its like; ties stay) and copied, as peft does with them.

    torch 2.13 swaps the content of fake parameters, and refuses because FakeTensorMode refers to them weakly; and a
    deep copy of a fake tensor copies the mode too, with pointers that are then freed twice. Real ones see no change.
    """
    from torch._subclasses.fake_tensor import FakeTensor
    from torch.nn import Module, Parameter

    batch: dict[int, tuple[Any, Any]] = {}

    def convert(weight: Any, change: Callable[[Any], Any]) -> Any:
        if id(weight) not in batch:
            changed = change(weight.detach())
            same = changed.dtype == weight.dtype and changed.device == weight.device
            batch[id(weight)] = weight, weight if same else Parameter(changed, weight.requires_grad)
        return batch[id(weight)][1]

    def apply(self: Any, change: Callable[[Any], Any], recurse: bool = True) -> Any:
        if not any(isinstance(weight, FakeTensor) for weight in self.parameters()):
            return own(self, change, recurse)
        batch.clear()
        for module in self.modules() if recurse else (self,):
            for name, weight in module._parameters.items():
                module._parameters[name] = None if weight is None else convert(weight, change)
            for name, buffer in module._buffers.items():
                module._buffers[name] = None if buffer is None else change(buffer)
        return self

    def copied(self: Any, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            clone = self.detach().clone()
            memo[id(self)] = Parameter(clone, self.requires_grad) if isinstance(self, Parameter) else clone
        return memo[id(self)]

    with _BUILDING:
        own = Module._apply
        Module._apply = apply  # type: ignore[method-assign]
        FakeTensor.__deepcopy__ = copied  # type: ignore[method-assign]
        try:
            yield
        finally:
            Module._apply = own  # type: ignore[method-assign]
            del FakeTensor.__deepcopy__
