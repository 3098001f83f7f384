"""FSDP: weights, gradients and optimiser states that several processes share (torch's `fully_shard`).

accelerate offers it on GPUs alone, and not for every model with tied weights. A checkpoint holds everything whole, as
it does without sharding.
"""

from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from genai_lab.training.method import layers_of


def shard(module: Any, device: torch.device, free: bool) -> None:
    """Each block is gathered when it is read, and everything else, where weights may be tied, as one; all processes
    take part. With `free` a block's weights are released until the backward pass.
    """
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for name in layers_of(module):
        fully_shard(module.get_submodule(name), mesh=mesh, reshard_after_forward=free)
    fully_shard(module, mesh=mesh, reshard_after_forward=free)
    if hasattr(module, "generate"):
        register_fsdp_forward_method(module, "generate")


def gather_tensors(value: Any) -> Any:
    """The same with every tensor gathered; all processes take part."""
    if isinstance(value, dict):
        return {name: gather_tensors(part) for name, part in value.items()}
    return value.full_tensor() if isinstance(value, DTensor) else value


def local_part(value: Any) -> Any:
    """The part of a tensor that this process holds."""
    return value.to_local() if isinstance(value, DTensor) else value


def distribute_state(optimizer: torch.optim.Optimizer) -> None:
    """Splits states that were loaded whole as their weights are split."""
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(weight, DTensor) and value.shape == weight.shape and not isinstance(value, DTensor):
                state[name] = distribute_tensor(value, weight.device_mesh, weight.placements)
