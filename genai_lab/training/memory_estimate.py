"""The memory that a run will take, estimated from its plan and the size of its largest batch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from genai_lab.settings import read_settings
from genai_lab.training.loading import SAFE
from genai_lab.training.memory import MemoryPlan, batch_of, plan, token_loss
from genai_lab.training.methods import METHODS
from genai_lab.training.module_kinds import CLASSIFIER, LANGUAGE_MODEL
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import Architecture, DatasetSpec, TrainingPlan

BYTES = 4  # of a parameter, in float32


def estimate_memory(
    run: TrainingPlan,
    base: Path,
    architecture: Architecture,
    labels: Sequence[str],
    length: int,
    target: int,
    device: str = "cpu",
    models: Mapping[str, Path] | None = None,
) -> MemoryPlan:
    """`length` and `target` are the tokens of the longest prompt (or block) and completion in a batch, or how many
    tokens of a row are learned (0: all that the objective may learn); `models` are the folders of other models by role.

    On the CPU the peak is of the whole process, on a GPU of its memory.
    """
    memory = _memory_of_step(_without_data(run).to_yaml(), base, architecture, tuple(labels), length, target)
    memory = memory.of_a_process() if device == "cpu" else memory
    return _with_models(memory, run, architecture, models or {})


def _without_data(run: TrainingPlan) -> TrainingPlan:
    """The plan without what the memory of a step does not depend on, so that plans alike in all else share it."""
    training = replace(
        run.training, num_train_epochs=0.0, learning_rate=None, seed=0, eval_steps=0, early_stopping_patience=0,
        processes=1, sharding="none", gradient_accumulation_steps=1,
    )  # fmt: skip
    return replace(
        run, training=training, data=(DatasetSpec("none"),), models={}, split=TrainingPlan.split,
        validation_split=TrainingPlan.validation_split,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _memory_of_step(
    plan_yaml: str, base: Path, architecture: Architecture, labels: tuple[str, ...], length: int, target: int
) -> MemoryPlan:
    run = TrainingPlan.from_yaml(plan_yaml)
    method, objective = METHODS.get(run.method), OBJECTIVES.get(run.objective)
    kind, rows = objective.module_kind, objective.forward_rows(run)
    settings: Any = read_settings(method.settings, run.method_settings, method.title)
    length, target = objective.lengths_in_step(length, target, run, architecture)

    def build() -> Any:
        import torch
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(base, **SAFE, **kind.config(labels))
        config.use_cache = False
        if kind.whole_folder:
            config.pad_token_id = 0  # some bases lack one, and the score is read at the last token beside it
        # Whatever dtype the base is stored in, it is trained in float32 (`loading.load_module`).
        module = kind.auto_class(architecture).from_config(config, dtype=torch.float32)
        return method.apply(module, architecture, settings, run.training.max_steps)

    return plan(
        build,
        lambda: batch_of(kind.memory_family(architecture), rows, length, target),
        loss=None if objective.only_learned_logits else token_loss,
        gradient_checkpointing=run.training.gradient_checkpointing,
        autocast={"bfloat16": "bfloat16", "float16": "float16"}.get(run.training.precision),
    )


def _with_models(
    memory: MemoryPlan, run: TrainingPlan, architecture: Architecture, models: Mapping[str, Path]
) -> MemoryPlan:
    """The plan with the weights of other models: those that stay, and those that are read before the first step."""
    objective = OBJECTIVES.get(run.objective)
    copies = 0 if "reference" in models or not objective.holds_base(METHODS.get(run.method)) else 1
    if not models and not copies:
        return memory
    roles = objective.model_roles(run)
    sizes = {role: BYTES * parameters_of(folder, architecture) for role, folder in models.items()}
    resident = copies * BYTES * memory.parameters + sum(size for role, size in sizes.items() if roles[role].resident)
    passing = max((size for role, size in sizes.items() if not roles[role].resident), default=0)
    peak = max(memory.peak + resident, memory.process + memory.weights + resident + passing)
    return replace(memory, models=resident, peak=peak)


def parameters_of(folder: Path, architecture: Architecture) -> int:
    """The number of parameters of a language model or a classifier, from its configuration alone."""
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, **SAFE)
    classifies = any("SequenceClassification" in name for name in config.architectures or ())
    with torch.device("meta"):
        module = (CLASSIFIER if classifies else LANGUAGE_MODEL).auto_class(architecture).from_config(config)
    return sum(weight.numel() for weight in module.parameters())
