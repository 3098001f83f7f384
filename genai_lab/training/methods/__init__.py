"""What a run trains: one method a file, from all weights to a few virtual tokens.

A method takes a loaded module and leaves `requires_grad` on what is to be trained; the loop keeps exactly these tensors
in its checkpoints. Its artefact is a whole model, or an adapter folder that stands on the base.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from genai_lab.errors import LabError
from genai_lab.registry import Registry
from genai_lab.training import ARCHITECTURES, Architecture
from genai_lab.training.plan import RENAMED_METHODS

Artefact = Literal["model", "adapter"]


class Method(Protocol):
    """`rate` is the learning rate of small models and `large_rate` that of others where a plan gives none (`rates`).

    `about` says in two lines what is trained.
    """

    name: str
    title: str
    about: str
    source: str
    architectures: tuple[Architecture, ...]
    rate: float
    large_rate: float
    artefact: Artefact

    @property
    def settings(self) -> type: ...

    def refusal(self) -> str | None:
        """Why the method cannot be used on this machine, in one sentence; None where it can."""

    def loading(self) -> dict[str, Any]:
        """What `from_pretrained` is to be told beside the usual."""

    def apply(self, module: Any, architecture: Architecture, settings: Any, steps: int) -> Any:
        """The module to be trained, which may wrap the given one; raises LabError where nothing would be trained."""

    def penalty(self, module: Any) -> Any:
        """What is added to the loss, a scalar tensor; None for nothing."""

    def after_step(self, module: Any, step: int) -> None:
        """Called after every optimiser step, before the gradients are gone."""

    def state(self, module: Any) -> dict[str, Any]:
        """Tensors beside the trained ones that a run needs to go on, by name."""

    def restore(self, module: Any, state: dict[str, Any]) -> None: ...

    def export(self, module: Any, folder: Path) -> None:
        """Writes the artefact, safetensors only."""


METHODS: Registry[Method] = Registry("method", __name__, RENAMED_METHODS)


class Plain:
    """What most methods have in common: nothing but weights that change, and a whole model at the end."""

    architectures: tuple[Architecture, ...] = ARCHITECTURES
    artefact: Artefact = "model"

    def refusal(self) -> str | None:
        return None

    def loading(self) -> dict[str, Any]:
        return {}

    def penalty(self, module: Any) -> Any:
        return None

    def after_step(self, module: Any, step: int) -> None:
        return

    def state(self, module: Any) -> dict[str, Any]:
        return {}

    def restore(self, module: Any, state: dict[str, Any]) -> None:
        return

    def export(self, module: Any, folder: Path) -> None:
        module.save_pretrained(folder)


class Selective(Plain):
    """Some of the weights that are there; `wanted` chooses them by name."""

    def wanted(self, module: Any, settings: Any) -> Any:
        """A function of a parameter's name."""
        raise NotImplementedError

    def apply(self, module: Any, architecture: Architecture, settings: Any, steps: int) -> Any:
        chosen, count = self.wanted(module, settings), 0
        for name, weight in module.named_parameters():
            weight.requires_grad = chosen(name)
            count += weight.requires_grad
        if not count:
            raise LabError(f"{self.title} finds nothing to train in this model; choose another method.")  # type: ignore[attr-defined]
        keep_new_head(module)
        return module


class Peft(Plain):
    """A method of the PEFT library; `config` makes its configuration."""

    artefact: Artefact = "adapter"

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
            raise LabError(f"{self.title} does not fit this model: {lines[0].rstrip('.')[:200]}.") from problem  # type: ignore[attr-defined]

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
        above, _, last = name.rpartition(".")
        setattr(base.get_submodule(above), last, plain)
    return base


def task_of(module: Any, architecture: Architecture) -> Any:
    """PEFT's name of what the module is for; None for a masked language model."""
    if hasattr(module, "classifier") or hasattr(module, "score"):
        return "SEQ_CLS"
    if architecture == "encoder":
        return None
    return "SEQ_2_SEQ_LM" if architecture == "encoder-decoder" else "CAUSAL_LM"


def keep_new_head(module: Any) -> None:
    """A classifier's head is trained with everything else: it is new where the classes are."""
    for name in ("classifier", "score"):
        head = getattr(module, name, None)
        if head is not None:
            for weight in head.parameters():
                weight.requires_grad = True


def layers_of(module: Any) -> list[str]:
    """Names of the blocks of layers, such as "model.layers.0", from the first to the last of each stack."""
    import re

    found: dict[str, None] = {}
    for name, _ in module.named_parameters():
        if made := re.match(r"(.*?\.(?:layers|layer|block|blocks|h)\.\d+)\.", name):
            found[made[1]] = None
    return list(found)


@dataclass(frozen=True)
class NoSettings:
    pass
