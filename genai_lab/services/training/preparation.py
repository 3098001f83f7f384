"""From a plan's names to what the loop reads: rows filled into templates, told apart, encoded."""

import math
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import Example
from genai_lab.data.conversations import Message, read_exchanges, write_text
from genai_lab.errors import BadSetting, LabError
from genai_lab.models import Card
from genai_lab.models.transformers import choose_device
from genai_lab.prompts import bind, fill
from genai_lab.services import datasets, models, prompting, templates
from genai_lab.services.datasets import VersionView
from genai_lab.services.jobs.executors.local import visible_gpus
from genai_lab.services.templates import TemplateView
from genai_lab.services.training import preferences
from genai_lab.settings import read_settings
from genai_lab.training import Architecture, DatasetSpec, Plan, Training, architecture_of
from genai_lab.training.learning_rates import default_rate
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES, Item, Text
from genai_lab.training.objectives.instruction import Settings as InstructionSettings
from genai_lab.views import View

MOST_ROWS = 100_000
FEWEST = 4
HELD = 0.1
SEARCHED, NAMED = 1_000, 5  # rows that are looked through for those left out, and how many of these are named
WHOLE = ("adalora", "qlora")
VIRTUAL = ("prompt_tuning", "p_tuning", "prefix_tuning")


@dataclass(frozen=True)
class ResolvedPlan(View):
    """What a plan names, found and fitting: a version and its templates for each part.

    `chat` says that prompts and pairs are read in the base's chat template.
    """

    card: Card
    architecture: Architecture
    versions: tuple[VersionView, ...]
    templates: tuple[tuple[TemplateView, ...], ...]
    labels: tuple[str, ...]
    chat: bool = False

    def rate(self, plan: Plan) -> float:
        """The learning rate of the run: the plan's, or what suits method, objective and size."""
        return plan.training.learning_rate or default_rate(plan.method, plan.objective, self.card.parameters)


@dataclass(frozen=True)
class Prepared(View):
    """Items of each part and of the validation; `left_out` rows had nothing to learn, `cut` ones were too long.

    `left_rows` are the numbers of the first rows that were left out, counted from 1 as the Datasets page does.

    Of each part, `turns` are the numbers of its items that are one pass over its rows each (see `batches.order`), and
    `sizes` the rows that the version has for training, by which parts are mixed.
    """

    train: tuple[tuple[Item, ...], ...]
    validation: tuple[Item, ...]
    rows: int
    left_out: int
    cut: int
    steps: int
    turns: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    left_rows: tuple[int, ...] = ()


def known(lab: LabContext, plan: Plan) -> ResolvedPlan:
    """Raises LabError in one sentence for whatever in the plan does not exist or does not fit another part."""
    view = models.show(lab, plan.model)
    if view.status not in ("ready", "loaded"):
        raise LabError(f"{plan.model} is {view.status}{f': {view.detail}' if view.detail else ''}".rstrip(".") + ".")
    architecture = architecture_of(view.card)
    objective, method = OBJECTIVES.get(plan.objective), METHODS.get(plan.method)
    read_settings(objective.settings, plan.objective_settings, objective.title)
    read_settings(method.settings, plan.method_settings, method.title)
    for member in (objective, method):
        if architecture not in member.architectures:
            raise LabError(
                f"{member.title} is for {' and '.join(member.architectures)} models, and {plan.model} is "
                f"{architecture}; choose another."
            )
    if reason := method.refusal() or together(plan.objective, plan.method):
        raise LabError(reason)
    _fits(plan, view.card, architecture)
    _spread(lab, plan)
    versions = tuple(datasets.show(lab, part.dataset) for part in plan.data)
    chosen = tuple(tuple(templates.show(lab, name) for name in part.templates) for part in plan.data)
    for part, version, own in zip(plan.data, versions, chosen, strict=True):
        _readable(plan, objective, part, version, own)
    chat = in_chat(plan, view.card)
    return ResolvedPlan(view.card, architecture, versions, chosen, _labels(lab, objective, versions), chat)


def in_chat(plan: Plan, card: Card) -> bool:
    """Whether the run reads the base's chat template; raises LabError where the plan asks for one that cannot be."""
    objective = OBJECTIVES.get(plan.objective)
    able = objective.needs in ("reference", "pairs") and card.family == "decoder-only"
    if plan.format == "chat" and not able:
        what = card.name if objective.needs in ("reference", "pairs") else objective.title
        raise BadSetting("format", plan.format, f"plain or by model: {what} reads no chat template")
    return able and prompting.mode_of(card, plan.format) == "chat"  # type: ignore[arg-type]


def format_words(plan: Plan, found: ResolvedPlan) -> str:
    """In which form the run reads its prompts, as a sentence; empty where there is no choice."""
    if found.chat:
        return f"Read in the chat template of {plan.model}."
    if OBJECTIVES.get(plan.objective).needs in ("reference", "pairs"):
        more = f", without the chat template of {plan.model}" if found.card.chat else ""
        return f"Read as plain text{more}."
    return ""


def together(objective: str, method: str) -> str | None:
    """Why the two do not go together, in one sentence; None where they do."""
    goal, way = OBJECTIVES.get(objective), METHODS.get(method)
    if method in getattr(goal, "without", ()):
        return f"{way.title} leaves an adapter that cannot be merged into a {goal.title.lower()}; choose LoRA or full."
    return None


def _fits(plan: Plan, card: Card, architecture: Architecture) -> None:
    virtual = int(plan.method_settings.get("tokens", 20)) if plan.method in VIRTUAL else 0
    context = card.context
    if context is not None and plan.training.max_length + virtual > context:
        more = f" beside {virtual} virtual tokens" if virtual else ""
        raise BadSetting(
            "max_length", plan.training.max_length, f"at most the {context - virtual:,} tokens of {card.name}{more}"
        )
    if plan.training.precision == "float16" and architecture and plan.training.processes:
        import torch

        if not torch.cuda.is_available():
            raise BadSetting("precision", "float16", "float32 or bfloat16 where there is no GPU")


def _spread(lab: LabContext, plan: Plan) -> None:
    """Whether this machine has what the plan's processes need, and sharding does for method and objective."""
    training = plan.training
    if training.processes > 1:
        device = device_of(lab)
        room = {"cuda": len(visible_gpus()), "cpu": cores()}.get(device, 1)
        if training.processes > room:
            units = "cores" if device == "cpu" else "GPUs"
            raise BadSetting("processes", training.processes, f"at most {room}, as many as there are {units}")
    if training.sharding != "none" and training.precision == "float16":
        # Each process would judge by its own part whether a step overflows.
        raise BadSetting("precision", "float16", "float32 or bfloat16 beside sharding")
    for member in (OBJECTIVES.get(plan.objective), METHODS.get(plan.method)):
        if training.sharding != "none" and (member.name in WHOLE or getattr(member, "needs", "") == "pairs"):
            raise BadSetting("sharding", training.sharding, f"none for {member.title}, which reads whole weights")


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _readable(plan: Plan, objective: Any, part: DatasetSpec, version: VersionView, own: Sequence[TemplateView]) -> None:
    """Whether the version has the rows and roles that the objective needs."""
    if plan.split not in version.splits:
        there = ", ".join(f"{name} ({count:,})" for name, count in version.splits.items())
        raise LabError(f"{version.name} has no rows for {plan.split}. It has: {there}.")
    if plan.validation_split not in (*version.splits, Plan.validation_split):
        there = ", ".join(version.splits)
        raise LabError(f"{version.name} has no rows for {plan.validation_split} to validate on. It has: {there}.")
    if version.splits[plan.split] < FEWEST:
        raise LabError(
            f"{version.name} has {version.splits[plan.split]} rows for {plan.split}; training needs {FEWEST} at least."
        )
    if objective.needs == "pairs":
        return preferences.check(version, own)
    wanted = {"reference": ("reference", "label", "messages"), "label": ("label", "reference"), "text": ()}[
        objective.needs
    ]
    if wanted and not any(role in version.roles for role in wanted):
        raise LabError(
            f"{version.name} has no column for the role {wanted[0]}, which {objective.title} needs; import it with one."
        )
    if objective.needs == "reference" and not own and "messages" not in version.roles:
        raise LabError(f"{version.name} has no template; choose at least one, such as 'plain'.")
    if objective.needs != "reference" and not own and not {"input", "messages"} & set(version.roles):
        raise LabError(f"{version.name} has no column for the role input, whose text is read; import it with one.")
    for one in own:
        bind(one.value, version.column_names, version.roles, ())
    return None


def _labels(lab: LabContext, objective: Any, versions: Sequence[VersionView]) -> tuple[str, ...]:
    if objective.needs != "label":
        return ()
    found: set[str] = set()
    for version in versions:
        role = "label" if "label" in version.roles else "reference"
        labels = datasets.labels(lab, version.id) if role == "label" else ()
        found |= set(labels or {wanted(one) for one in datasets.examples(lab, version.id, split=None, count=MOST_ROWS)})
    found.discard("")
    if len(found) < 2:
        raise LabError(
            f"All rows have one class ({next(iter(found), 'none')!r}); classification needs two classes at least."
        )
    if len(found) > 200:
        raise LabError(f"There are {len(found):,} classes, more than 200; is the right column the label?")
    return tuple(sorted(found))


def prepare(lab: LabContext, plan: Plan, found: ResolvedPlan, tokenizer: Any) -> Prepared:
    """Draws, fills and encodes; raises LabError where nothing can be learned from."""
    objective = OBJECTIVES.get(plan.objective)
    wanted_rows = MOST_ROWS if plan.training.num_train_epochs else plan.training.max_steps * plan.training.rows_per_step
    held = max(1, plan.training.validation_rows // len(plan.data))
    train: list[tuple[Item, ...]] = []
    validation, turns, rows, left_out = [], [], 0, 0
    left_rows: list[int] = []

    def encode(texts: Sequence[Text]) -> list[Item]:
        return objective.items(texts, tokenizer, found.architecture, plan.training, found.labels)

    for place, (part, version) in enumerate(zip(plan.data, found.versions, strict=True)):
        texts, checks, count = _both(lab, plan, found, place, wanted_rows, held)
        passes = [encode(one) for one in texts]
        validation += encode(checks)[:held]
        items = tuple(item for one in passes for item in one)
        read = sum(map(len, texts))
        if not items:
            raise LabError(_nothing(plan, part, version, read))
        if objective.needs != "text" and read > len(items):
            left_out += read - len(items)
            left_rows += [one.row + 1 for one in texts[0][:SEARCHED] if not encode([one])][:NAMED]
        rows += count
        train.append(items)
        turns.append(tuple(len(one) for one in passes if one))
    if not validation:
        raise LabError("No validation row has anything to learn; raise the length or choose another validation split.")
    total = sum(map(len, train))
    training = plan.training
    once = sum(sum(own) / len(own) for own in turns)
    steps = (
        max(1, math.ceil(training.num_train_epochs * once / training.rows_per_step))
        if training.num_train_epochs
        else training.max_steps
    )
    cut = sum(item.cut for items in train for item in items)
    if cut == total and objective.needs != "text":
        raise LabError(_all_cut(training, found.architecture, [item for items in train for item in items]))
    sizes = tuple(version.splits[plan.split] for version in found.versions)
    return Prepared(tuple(train), tuple(validation), rows, left_out, cut, steps, tuple(turns), sizes, tuple(left_rows))


def _both(
    lab: LabContext, plan: Plan, found: ResolvedPlan, place: int, wanted_rows: int, held: int
) -> tuple[list[list[Text]], list[Text], int]:
    """(texts to learn of each pass over the rows, texts to validate on, rows learned from) of one part."""
    version, own = found.versions[place], found.templates[place]
    needs = OBJECTIVES.get(plan.objective).needs
    if needs == "pairs":
        pairs, checks, count = preferences.texts(lab, plan, version, min(wanted_rows, MOST_ROWS), held, found.chat)
        return [pairs], checks, count
    learned, kept = _split(lab, plan, version, wanted_rows if needs != "text" else MOST_ROWS, held)
    passes = math.ceil(plan.training.num_train_epochs or wanted_rows / max(1, len(learned)))
    texts = list(_texts(plan, found, version, own, learned, passes if len(own) > 1 else 1))
    return texts, next(_texts(plan, found, version, own, kept, 1)), len(learned)


def _nothing(plan: Plan, part: DatasetSpec, version: VersionView, rows: int) -> str:
    if OBJECTIVES.get(plan.objective).needs == "text":
        return f"{version.name} has less text than one block of {plan.training.max_length} tokens; lower the length."
    return (
        f"None of the {rows:,} rows of {version.name} has anything to learn within {plan.training.max_length:,} "
        "tokens; raise the length, or look whether the references are empty."
    )


def _all_cut(training: Training, architecture: Architecture, items: Sequence[Item]) -> str:
    """Which of the two lengths is too low; only an encoder-decoder has one for completions."""
    pair = architecture == "encoder-decoder"
    long = not pair or all(len(one.ids) >= training.max_length for one in items)
    wordy = pair and all(len(one.target) >= training.max_target_length for one in items)
    rows, words = f"All rows are longer than {training.max_length:,} tokens", f"than {training.max_target_length:,}"
    so = "so that each would be cut; raise the"
    if long and not wordy:
        return f"{rows}, {so} length."
    if wordy and not long:
        return f"All completions are longer {words} tokens, {so} target length."
    return f"{rows}, or their completions {words}, {so} length and the target length."


def _split(
    lab: LabContext, plan: Plan, version: VersionView, count: int, held: int
) -> tuple[list[Example], list[Example]]:
    """(training rows, validation rows); without a validation split a tenth is held out, drawn with the seed."""
    most = min(count, MOST_ROWS)
    if plan.validation_split in version.splits and plan.validation_split != plan.split:
        learned = datasets.examples(lab, version.id, split=plan.split, count=most, seed=plan.training.seed)
        return learned, datasets.examples(lab, version.id, split=plan.validation_split, count=held)
    size = version.splits[plan.split]
    kept = max(1, min(held, round(HELD * size)))
    rows = datasets.examples(lab, version.id, split=plan.split, count=min(size, most + kept), seed=plan.training.seed)
    text = OBJECTIVES.get(plan.objective).needs == "text"
    able = [place for place, row in enumerate(rows) if text or wanted(row)] or list(range(len(rows)))
    chosen = set(random.Random(f"held {plan.training.seed}").sample(able, min(kept, len(able))))
    learned = [row for place, row in enumerate(rows) if place not in chosen]
    return learned, [rows[place] for place in sorted(chosen)]


def _whole(row: Example) -> str:
    """All text of a row: a conversation with its answer, or what its input says."""
    if row.messages:
        answer = [Message("assistant", text) for text in row.references[:1]]
        return write_text((*row.messages, *answer))
    return row.input or next(iter(row.fields.values()), "")


def wanted(row: Example) -> str:
    """What is to be learned of a row: its first reference, or its label."""
    return row.references[0] if row.references else (row.label or "")


def _texts(
    plan: Plan,
    found: ResolvedPlan,
    version: VersionView,
    own: Sequence[TemplateView],
    rows: Sequence[Example],
    passes: int,
) -> Iterator[list[Text]]:
    """Every row once a pass, each in its own order of the templates, until it has been in all of them."""
    needs = OBJECTIVES.get(plan.objective).needs
    if not own and needs == "reference":
        yield [text for row in rows for text in _conversation(plan, found, row)]
        return
    if not own:
        made = []
        for row in rows:
            text = _whole(row) if needs == "text" else row.input or next(iter(row.fields.values()), "")
            completion = (row.label or wanted(row)) if needs == "label" else ""
            made.append(Text(text, completion, row=row.key))
        yield made
        return
    rng = random.Random(f"templates {plan.training.seed}")
    turns = [rng.sample(range(len(own)), len(own)) for _ in rows]
    chat = needs == "reference" and found.chat
    for number in range(min(passes, len(own))):
        filled: dict[int, Text] = {}
        for place, view in enumerate(own):
            members = [n for n, turn in enumerate(turns) if turn[number] == place]
            texts = _filled(view, version, [rows[n] for n in members], needs, found, chat)
            filled |= dict(zip(members, texts, strict=True))
        yield [filled[n] for n in range(len(rows))]


def _conversation(plan: Plan, found: ResolvedPlan, row: Example) -> list[Text]:
    """A row of messages: in chat one text, in plain form one for each answer that is learned."""
    every = read_settings(InstructionSettings, plan.objective_settings, "instruction").turns == "all"
    if not row.messages or not row.references:
        return [Text("", row=row.key)]
    turns = (*row.messages, Message("assistant", row.references[0]))
    if found.chat:
        whole = tuple(one.as_dict() for one in turns)
        return (
            [Text("", messages=whole, whole=True, row=row.key)]
            if every
            else [Text("", row.references[0], whole[:-1], row.key)]
        )
    parts = read_exchanges(turns) if every else read_exchanges(turns)[-1:]
    space = "" if found.architecture == "encoder-decoder" else " "
    return [Text(write_text(one.prompt, cue=True), f"{space}{one.answer}", row=row.key) for one in parts if one.answer]


def _filled(
    view: TemplateView, version: VersionView, rows: Sequence[Example], needs: str, found: ResolvedPlan, chat: bool
) -> list[Text]:
    if not rows:
        return []
    binding = bind(view.value, version.column_names, version.roles, found.labels)
    made = []
    for row, one in zip(rows, fill(view.value, rows, chat=chat, binding=binding), strict=True):
        rendered, completion = one.rendered(), wanted(row)
        if needs == "label":
            completion = row.label or completion
        elif needs == "text":
            made.append(Text(f"{rendered.text} {completion}".strip(), row=row.key))
            continue
        elif found.architecture == "decoder-only" and not chat and not rendered.text.endswith((" ", "\n")):
            # As a shot writes it: the completion begins with the space.
            completion = f" {completion}" if completion else ""
        made.append(Text(rendered.text, completion, rendered.messages if chat else (), row.key))
    return made


def folder_of(found: ResolvedPlan) -> Path:
    assert found.card.path is not None
    return found.card.path


def device_of(lab: LabContext) -> str:
    return choose_device(lab.config.device)
