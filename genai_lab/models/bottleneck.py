"""Bottleneck adapters (Houlsby et al., 2019), which PEFT lacks: a small network behind a block's output projection.

A folder holds adapter_config.json ({"peft_type": "HOULSBY", "width", "activation", "targets", ...}) and
adapter_model.safetensors with <path of the wrapped layer>.{down,up}.{weight,bias}.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from genai_lab.errors import BadSetting, ModelError
from genai_lab.models.adapter_types import BOTTLENECK

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": nn.functional.gelu,
    "relu": nn.functional.relu,
}
WIDEST = 65_536
# Output projections of attention and of the feed-forward block, as families of models name them.
TARGETS = (
    ("SelfAttention.o", "EncDecAttention.o", "DenseReluDense.wo"),
    ("o_proj", "down_proj"),
    ("attention.output.dense", "output.dense"),
    ("attn.c_proj", "mlp.c_proj"),
    ("out_proj", "mlp.c_proj"),
    ("out_proj", "fc2"),
    ("attention.dense", "dense_4h_to_h"),
    ("self_attention.dense", "dense_4h_to_h"),
    ("self_attn.dense", "fc2"),
    ("out_lin", "ffn.lin2"),
)


class Bottleneck(nn.Module):
    """y = linear(x); y + up(act(down(y))). `up` begins at zero, so that nothing changes before training."""

    def __init__(self, linear: nn.Module, width: int, activation: str = "gelu") -> None:
        super().__init__()
        self.linear, self.activation = linear, ACTIVATIONS[activation]
        like: dict[str, Any] = {"device": self.weight.device, "dtype": self.weight.dtype}
        size = int(linear.nf if isinstance(linear, Conv1D) else linear.out_features)  # type: ignore[arg-type]
        self.down, self.up = nn.Linear(size, width, **like), nn.Linear(width, size, **like)
        nn.init.normal_(self.down.weight, std=0.01)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        y: torch.Tensor = self.linear(x)
        added: torch.Tensor = self.up(self.activation(self.down(y)))
        return y + added

    @property
    def weight(self) -> Any:
        """The wrapped layer's: models look at its dtype."""
        return self.linear.weight

    @property
    def bias(self) -> Any:
        return self.linear.bias


def insert(module: nn.Module, width: int, activation: str, targets: Sequence[str]) -> list[str]:
    """Wraps in place every linear layer whose path ends with one of the targets, and returns their paths.

    Raises BadSetting, changing nothing, for settings that no layer fits.
    """
    if not 1 <= width <= WIDEST:
        raise BadSetting("width", width, f"a whole number from 1 to {WIDEST}")
    if activation not in ACTIVATIONS:
        raise BadSetting("activation", activation, f"one of {', '.join(ACTIVATIONS)}")
    paths = _paths(module, targets)
    if not paths:
        raise BadSetting("targets", ", ".join(targets), "endings of the paths of linear layers, such as o_proj")
    for path in paths:
        parent, _, name = path.rpartition(".")
        setattr(module.get_submodule(parent), name, Bottleneck(module.get_submodule(path), width, activation))
    return paths


def targets_of(module: nn.Module) -> list[str]:
    """The endings that name the output projections of attention and feed-forward block; raises ModelError."""
    for endings in TARGETS:
        if all(_paths(module, [ending]) for ending in endings):
            return list(endings)
    raise ModelError(
        f"The output projections of {type(module).__name__} have names that the lab does not know; give the targets of "
        "the bottleneck adapter yourself."
    )


def save(module: nn.Module, folder: Path, config: Mapping[str, Any]) -> None:
    """Writes the inserted layers; `config` has width, activation, targets and task_type."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {**config, "peft_type": BOTTLENECK, "targets": list(config["targets"])}
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    tables = {name: table.detach().cpu().contiguous() for name, table in _own(module).items()}
    save_file(tables, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def load(module: nn.Module, folder: Path) -> list[str]:
    """Inserts what `save` wrote into a module without bottlenecks and returns the paths; raises LabError."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / "adapter_model.safetensors")
    paths = insert(module, config["width"], config["activation"], config["targets"])
    parameters = _own(module)
    if strange := sorted(parameters.keys() ^ tensors.keys()):
        raise ModelError(f"{folder} does not fit its base: {strange[0]} stands in only one of them.")
    with torch.no_grad():
        for name, table in parameters.items():
            if table.shape != tensors[name].shape:
                raise ModelError(f"{folder} does not fit its base: {name} has another size there.")
            table.copy_(tensors[name])
    return paths


def _own(module: nn.Module) -> dict[str, nn.Parameter]:
    """The adapter's parameters by their names in the file."""
    return {
        f"{path}.{part}.{name}": table
        for path, layer in module.named_modules()
        if isinstance(layer, Bottleneck)
        for part, layer_part in (("down", layer.down), ("up", layer.up))
        for name, table in layer_part.named_parameters()
    }


def _paths(module: nn.Module, targets: Sequence[str]) -> list[str]:
    return [
        path
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Linear | Conv1D) and any(f".{path}".endswith(f".{target}") for target in targets)
    ]
