"""What every method is: which weights are trained, and what is left of a run, with usual defaults.

A method takes a loaded module and leaves `requires_grad` on what is to be trained; the loop keeps exactly these tensors
in its checkpoints. Its artefact is a whole model, or an adapter folder that stands on the base.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genai_lab.errors import LabError
from genai_lab.training.plan import ARCHITECTURES, Architecture

Artefact = Literal["model", "adapter"]


@dataclass(frozen=True)
class NoSettings:
    pass


class Method:
    """The base of all methods. `rate` is the learning rate of small models and `large_rate` that of others where a plan
    gives none (`learning_rates`). `about` says in two lines what is trained.

    `mergeable` adapters can become part of the base's weights. Some methods read whole weights, which cannot be sharded
    (`needs_whole_weights`).
    """

    name: str
    title: str
    about: str
    source: str
    rate: float
    large_rate: float
    architectures: tuple[Architecture, ...] = ARCHITECTURES
    artefact: Artefact = "model"
    mergeable: bool = False
    trains_everything: bool = False
    needs_whole_weights: bool = False
    peft_format: bool = True  # whether PEFT and transformers load the artefact without the lab
    settings: type = NoSettings

    def refusal(self) -> str | None:
        """Why the method cannot be used on this machine, in one sentence; None where it can."""
        return None

    def virtual_tokens(self, settings: Any) -> int:
        """How many tokens it puts before every prompt."""
        return 0

    def load_arguments(self) -> dict[str, Any]:
        """Extra arguments of `from_pretrained`."""
        return {}

    def apply(self, module: Any, architecture: Architecture, settings: Any, steps: int) -> Any:
        """The module to be trained, which may wrap the given one; raises LabError where nothing would be trained."""
        raise NotImplementedError

    def penalty(self, module: Any) -> Any:
        """What is added to the loss, a scalar tensor; None for nothing."""
        return None

    def after_step(self, module: Any, step: int) -> None:
        """Called after every optimiser step, before the gradients are reset."""

    def state(self, module: Any) -> dict[str, Any]:
        """Tensors beside the trained ones that a run needs to be resumed, by name."""
        return {}

    def restore(self, module: Any, state: dict[str, Any]) -> None:
        """Puts the tensors of `state` back."""

    def export(self, module: Any, folder: Path) -> None:
        """Writes the artefact, safetensors only."""
        module.save_pretrained(folder)


class SelectiveMethod(Method):
    """Some of the weights that are there; `selector` chooses them by name."""

    def selector(self, module: Any, settings: Any) -> Any:
        """A function that says by a parameter's name whether it is trained."""
        raise NotImplementedError

    def apply(self, module: Any, architecture: Architecture, settings: Any, steps: int) -> Any:
        is_trained, count = self.selector(module, settings), 0
        for name, weight in module.named_parameters():
            weight.requires_grad = is_trained(name)
            count += weight.requires_grad
        if not count:
            raise LabError(f"{self.title} finds nothing to train in this model; choose another method.")
        train_new_head(module)
        return module


class PeftMethod(Method):
    """A method of the PEFT library; `config` makes its configuration."""

    artefact: Artefact = "adapter"
    mergeable = True

    def config(self, module: Any, architecture: Architecture, settings: Any, steps: int) -> Any:
        raise NotImplementedError

    def apply(self, module: Any, architecture: Architecture, settings: Any, steps: int) -> Any:
        import warnings

        from peft import get_peft_model

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of what PEFT asks transformers for
                return get_peft_model(module, self.config(module, architecture, settings, steps))
        except ValueError as problem:
            lines = str(problem).splitlines() or ["PEFT refuses it"]
            raise LabError(f"{self.title} does not fit this model: {lines[0].rstrip('.')[:200]}.") from problem

    def export(self, module: Any, folder: Path) -> None:
        """The adapter; an encoder's is merged, since what uses encoders reads whole models."""
        base = module.get_base_model()
        if hasattr(base, "prepare_inputs_for_generation"):
            return module.save_pretrained(folder)
        return _merged(base).save_pretrained(folder)


def _merged(base: Any) -> Any:
    """The module with PEFT's layers merged into those that they wrap; PEFT's own way stumbles over a new head."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import ModulesToSaveWrapper

    for name, part in list(base.named_modules()):
        if isinstance(part, BaseTunerLayer):
            part.merge()
            plain = part.get_base_layer()
        elif isinstance(part, ModulesToSaveWrapper):
            plain = part.modules_to_save[str(part.active_adapter)]
        else:
            continue
        parent, _, last = name.rpartition(".")
        setattr(base.get_submodule(parent), last, plain)
    return base


def task_of(module: Any, architecture: Architecture) -> Any:
    """PEFT's name of what the module is for; None for a masked language model."""
    if hasattr(module, "classifier") or hasattr(module, "score"):
        return "SEQ_CLS"
    if architecture == "encoder":
        return None
    return "SEQ_2_SEQ_LM" if architecture == "encoder-decoder" else "CAUSAL_LM"


def train_new_head(module: Any) -> None:
    """A classifier's head is trained with everything else: it is new where the classes are."""
    for name in ("classifier", "score"):
        head = getattr(module, name, None)
        if head is not None:
            for weight in head.parameters():
                weight.requires_grad = True


def layers_of(module: Any) -> list[str]:
    """Names of the blocks of layers, such as "model.layers.0", from the first to the last of each stack."""
    names: dict[str, None] = {}
    for name, _ in module.named_parameters():
        if match := re.match(r"(.*?\.(?:layers|layer|block|blocks|h)\.\d+)\.", name):
            names[match[1]] = None
    return list(names)
