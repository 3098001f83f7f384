"""A plan's names looked up once, and everything checked that can be checked before rows are read."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import Example
from genai_lab.errors import BadSetting, LabError
from genai_lab.models import Card
from genai_lab.models.transformers import choose_device
from genai_lab.prompts import Template
from genai_lab.services import datasets, models, prompting, templates
from genai_lab.services.datasets import VersionView
from genai_lab.services.jobs.executors.local import visible_gpus
from genai_lab.services.models import ModelView
from genai_lab.services.templates import TemplateView
from genai_lab.settings import read_settings
from genai_lab.training.learning_rates import default_rate
from genai_lab.training.methods import METHODS, Method
from genai_lab.training.objective import ModelRole, Objective, ReadingContext
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import Architecture, DatasetSpec, TrainingPlan, architecture_of

FEWEST_ROWS = 4


@dataclass(frozen=True)
class VersionSource:
    """A dataset version with the templates that the plan chooses for it (`RowSource`)."""

    lab: LabContext
    version: VersionView
    template_views: tuple[TemplateView, ...] = ()

    @property
    def name(self) -> str:
        return self.version.name

    @property
    def splits(self) -> Mapping[str, int]:
        return self.version.splits

    @property
    def roles(self) -> Mapping[str, tuple[str, ...]]:
        return self.version.roles

    @property
    def column_names(self) -> tuple[str, ...]:
        return self.version.column_names

    @property
    def templates(self) -> tuple[Template, ...]:
        return tuple(view.value for view in self.template_views)

    def examples(self, split: str | None, count: int, seed: int = 0) -> list[Example]:
        return datasets.examples(self.lab, self.version.id, split=split, count=count, seed=seed)

    def labels(self) -> tuple[str, ...]:
        return datasets.labels(self.lab, self.version.id)


@dataclass(frozen=True, eq=False)
class ResolvedPlan:
    """A plan and all that it names: the base, a source for each dataset, other models by role.

    `chat` says that prompts and pairs are read in the base's chat template.
    """

    plan: TrainingPlan
    base: ModelView
    architecture: Architecture
    sources: tuple[VersionSource, ...]
    labels: tuple[str, ...]
    models: Mapping[str, ModelView]
    device: str
    chat: bool = False

    @property
    def card(self) -> Card:
        return self.base.card

    @property
    def folder(self) -> Path:
        """Where the base lies."""
        assert self.base.card.path is not None
        return self.base.card.path

    @property
    def model_folders(self) -> dict[str, Path]:
        return {role: view.card.path for role, view in self.models.items() if view.card.path is not None}

    @property
    def objective(self) -> Objective:
        return OBJECTIVES.get(self.plan.objective)

    @property
    def method(self) -> Method:
        return METHODS.get(self.plan.method)

    @property
    def versions(self) -> tuple[VersionView, ...]:
        return tuple(source.version for source in self.sources)

    @property
    def learning_rate(self) -> float:
        """The plan's, or what suits method, objective and size."""
        return self.plan.training.learning_rate or default_rate(
            self.plan.method, self.plan.objective, self.card.parameters
        )

    @property
    def reading(self) -> ReadingContext:
        settings = self.objective.settings_of(self.plan)
        return ReadingContext(self.plan, self.architecture, settings, self.labels, self.chat)

    @property
    def format_sentence(self) -> str:
        """In which form the run reads its prompts; empty where there is no choice."""
        if self.chat:
            return f"Read in the chat template of {self.plan.model}."
        if self.objective.reads_chat:
            suffix = f", without the chat template of {self.plan.model}" if self.card.chat else ""
            return f"Read as plain text{suffix}."
        return ""


def resolve(lab: LabContext, plan: TrainingPlan) -> ResolvedPlan:
    """Raises LabError in one sentence for whatever in the plan does not exist or does not fit."""
    base = models.show(lab, plan.model)
    _check_ready(base)
    architecture = architecture_of(base.card)
    objective, method = OBJECTIVES.get(plan.objective), METHODS.get(plan.method)
    objective.settings_of(plan)
    settings: Any = read_settings(method.settings, plan.method_settings, method.title)
    for member in (objective, method):
        if architecture not in member.architectures:
            raise LabError(
                f"{member.title} is for {' and '.join(member.architectures)} models, and {plan.model} is "
                f"{architecture}; choose another."
            )
    if reason := method.refusal() or objective.excludes(method):
        raise LabError(reason)
    _check_length(objective.context_needed(plan, architecture), base.card, method.virtual_tokens(settings), plan)
    device = device_of(lab)
    _check_processes(plan, device)
    _check_sharding(plan, objective, method)
    sources = tuple(_source(lab, spec) for spec in plan.data)
    for source in sources:
        _check_splits(plan, source)
        objective.check(source, plan)
    return ResolvedPlan(
        plan,
        base,
        architecture,
        sources,
        objective.labels(sources),
        _models_by_role(lab, plan, base),
        device,
        reads_chat(plan, base.card),
    )


def reads_chat(plan: TrainingPlan, card: Card) -> bool:
    """Whether the run reads the base's chat template; raises LabError where the plan asks for one it cannot read."""
    objective = OBJECTIVES.get(plan.objective)
    able = objective.reads_chat and card.family == "decoder-only"
    if plan.format == "chat" and not able:
        owner = card.name if objective.reads_chat else objective.title
        raise BadSetting("format", plan.format, f"plain or by model: {owner} reads no chat template")
    return able and prompting.mode_of(card, plan.format) == "chat"  # type: ignore[arg-type]


def device_of(lab: LabContext) -> str:
    return choose_device(lab.config.device)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_ready(view: ModelView) -> None:
    if view.status not in ("ready", "loaded"):
        detail = f": {view.detail}" if view.detail else ""
        raise LabError(f"{view.card.name} is {view.status}{detail}".rstrip(".") + ".")


def _source(lab: LabContext, spec: DatasetSpec) -> VersionSource:
    version = datasets.show(lab, spec.dataset)
    return VersionSource(lab, version, tuple(templates.show(lab, name) for name in spec.templates))


def _models_by_role(lab: LabContext, plan: TrainingPlan, base: ModelView) -> dict[str, ModelView]:
    """The plan's other models; raises LabError for a role that the objective does not have, or lacks."""
    objective = OBJECTIVES.get(plan.objective)
    roles, names = objective.model_roles(plan), objective.model_names(plan)
    for role in plan.models:
        if role not in objective.models:
            listed = ", ".join(objective.models) or "none"
            raise LabError(f"{objective.title} reads no model as {role}. Its roles: {listed}.")
    for role, needed in roles.items():
        if needed.required and role not in names:
            raise LabError(f"{objective.title} needs a model as {role}: {needed.about}")
    views = {role: models.show(lab, name) for role, name in names.items()}
    for role, view in views.items():
        _check_ready(view)
        objective.check_model(role, view.card, plan)
        _check_role(role, roles[role], view, base)
    return views


def _check_role(role: str, needed: ModelRole, view: ModelView, base: ModelView) -> None:
    name, card = view.card.name, base.card
    if needed.same_architecture and architecture_of(view.card) != architecture_of(card):
        raise LabError(f"{name} is {view.card.family}, but the {role} of {card.name} must be {card.family} too.")
    if needed.same_tokenizer and not _same_tokenizer(view.card, card):
        raise LabError(f"{name} reads other tokens than {card.name}, so that it cannot be its {role}; choose another.")


def _same_tokenizer(first: Card, second: Card) -> bool:
    from genai_lab.training.loading import load_tokenizer

    if first.path is None or second.path is None or first.path == second.path:
        return first.path == second.path
    return bool(load_tokenizer(first.path).get_vocab() == load_tokenizer(second.path).get_vocab())


def _check_length(needed: int, card: Card, virtual: int, plan: TrainingPlan) -> None:
    """Raises BadSetting where a row of `needed` tokens is longer than the base reads."""
    context, length = card.context, plan.training.max_length
    others = needed - length  # of completions
    if context is not None and needed + virtual > context:
        beside = f" beside {virtual} virtual tokens" if virtual else ""
        beside += f" beside completions of {others} tokens" if others else ""
        most = max(0, context - virtual - others)
        raise BadSetting("max_length", length, f"at most the {most:,} tokens of {card.name}{beside}")
    if plan.training.precision == "float16":
        import torch

        if not torch.cuda.is_available():
            raise BadSetting("precision", "float16", "float32 or bfloat16 where there is no GPU")


def _check_processes(plan: TrainingPlan, device: str) -> None:
    """Raises BadSetting where this machine lacks what the plan's processes need."""
    if plan.training.processes > 1:
        most = {"cuda": len(visible_gpus()), "cpu": cores()}.get(device, 1)
        if plan.training.processes > most:
            units = "cores" if device == "cpu" else "GPUs"
            raise BadSetting("processes", plan.training.processes, f"at most {most}, as many as there are {units}")


def _check_sharding(plan: TrainingPlan, objective: Objective, method: Method) -> None:
    if plan.training.sharding == "none":
        return
    if plan.training.precision == "float16":
        # Each process would judge by its own part whether a step overflows.
        raise BadSetting("precision", "float16", "float32 or bfloat16 beside sharding")
    for member in (objective, method):
        if member.needs_whole_weights:
            raise BadSetting("sharding", plan.training.sharding, f"none for {member.title}, which reads whole weights")


def _check_splits(plan: TrainingPlan, source: VersionSource) -> None:
    if plan.split not in source.splits:
        existing = ", ".join(f"{name} ({count:,})" for name, count in source.splits.items())
        raise LabError(f"{source.name} has no rows for {plan.split}. It has: {existing}.")
    if plan.validation_split not in (*source.splits, TrainingPlan.validation_split):
        raise LabError(
            f"{source.name} has no rows for {plan.validation_split} to validate on. It has: {', '.join(source.splits)}."
        )
    if source.splits[plan.split] < FEWEST_ROWS:
        raise LabError(
            f"{source.name} has {source.splits[plan.split]} rows for {plan.split}; training needs {FEWEST_ROWS} at "
            "least."
        )


def exclusion_reason(objective: str, method: str) -> str | None:
    """Why the two do not go together, in one sentence; None where they do."""
    return OBJECTIVES.get(objective).excludes(METHODS.get(method))


def sources_of(lab: LabContext, plan: TrainingPlan) -> tuple[VersionSource, ...]:
    """The plan's datasets, unchecked."""
    return tuple(_source(lab, spec) for spec in plan.data)
