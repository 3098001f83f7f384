"""One prompt made visible: a row of a dataset, of a starter task or typed by hand, in a template, with its shots."""

import random
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Literal

from genai_lab.data import Example
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.models import Card, Mode, Prompt
from genai_lab.prompts import Binding, Filled, Fitted, Rendered, Template, bind, fill, fitting
from genai_lab.prompts.few_shot import Embed, ShotSettings
from genai_lab.services import embedding, models
from genai_lab.starter.tasks import TASKS
from genai_lab.views import View

if TYPE_CHECKING:
    from genai_lab.context import LabContext

Rendering = Literal["by model", "plain", "chat"]
RENDERINGS: tuple[Rendering, ...] = ("by model", "plain", "chat")
TYPED, SAMPLE = "typed", "sample:"
SAMPLE_ROWS, SAMPLE_SEED = {"train": 200, "test": 40}, 11
POOL_ROWS = 2_000
SPLITS = ("test", "validation")


@dataclass(frozen=True)
class PromptRows(View):
    """What a preview draws from: `count` rows of the part `split`, and the pool that shots come from."""

    name: str
    columns: tuple[str, ...]
    roles: Mapping[str, tuple[str, ...]]
    labels: tuple[str, ...]
    split: str
    count: int
    row: Callable[[int], Example]
    pool: Callable[[], list[Example]]
    embedder: Callable[[str], Embed] | None = None  # an embedder of the catalogue, by its name


@dataclass(frozen=True)
class PromptPreview(View):
    """A filled prompt; `shown` are its shots in order, `example` the row it asks about."""

    rows: PromptRows
    example: Example
    shown: tuple[Example, ...]
    filled: Filled

    @property
    def rendered(self) -> Rendered:
        return self.filled.rendered()


def sources(lab: "LabContext") -> list[tuple[str, str]]:
    """(title, value) of everything that a preview can take rows from; datasets first, the newest version of each."""
    from genai_lab.services import datasets

    views, _ = datasets.find(lab, "", 200, 0)
    options = [(view.name, view.name) for view in views]
    samples = [(f"Sample: {TASKS.get(name).title}", f"{SAMPLE}{name}") for name in TASKS]
    return [*options, *samples, ("A row typed by hand", TYPED)]


def rows_of(lab: "LabContext", source: str, typed: Mapping[str, str] | None = None) -> PromptRows:
    """The rows behind a source's value; raises LabError for one that is not there."""
    if source == TYPED:
        return _typed(dict(typed or {}))
    rows = _sample(source.removeprefix(SAMPLE)) if source.startswith(SAMPLE) else _dataset(lab, source)
    return replace(rows, embedder=lambda name: embedding.Embedder(lab, name).embed)


class KeptRows:
    """The rows of the sources used last, so that looking at one row after another reads each file once."""

    def __init__(self, lab: "LabContext", most: int = 8) -> None:
        self._lab, self._most, self._lock = lab, most, Lock()
        self._kept: OrderedDict[str, PromptRows] = OrderedDict()

    def of(self, source: str, typed: Mapping[str, str] | None = None) -> PromptRows:
        """As `rows_of`; a version that is named with its number never changes."""
        if source == TYPED or not (source.startswith(SAMPLE) or "@" in source):
            return rows_of(self._lab, source, typed)
        with self._lock:
            rows = self._kept.get(source)
        rows = rows or rows_of(self._lab, source)
        with self._lock:
            self._kept[source] = rows
            self._kept.move_to_end(source)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return rows


def preview(
    template: Template, rows: PromptRows, index: int = 0, *, chat: bool = False, shots: ShotSettings | None = None
) -> PromptPreview:
    """The template with the row at `place` (it wraps around) and its shots; raises LabError in one sentence."""
    binding = binding_of(template, rows)
    if not rows.count:
        raise LabError(f"{rows.name} has no row in its part {rows.split!r}; choose another dataset.")
    example = rows.row(index % rows.count)
    shots_chosen = _shots(template, rows, example, binding, shots or ShotSettings())
    filled = fill(template, [example], [shots_chosen], chat=chat, binding=binding)[0]
    return PromptPreview(rows, example, shots_chosen, filled)


def binding_of(template: Template, rows: PromptRows) -> Binding:
    """The columns of the template's slots; a typed row may hold any."""
    if rows.name == TYPED:
        return Binding(labels=rows.labels)
    return bind(template, rows.columns, rows.roles, rows.labels)


def measure_prompts(
    lab: "LabContext", preview_made: PromptPreview, model: str, max_new_tokens: int, rendering: Rendering = "by model"
) -> Fitted:
    """The prompt in the model's tokens, with as many of its shots as the context holds beside the completion."""
    card = models.show(lab, model).card
    generator = models.load(lab, model)

    def count(prompt: Prompt) -> int | None:
        return generator.count_tokens(prompt)

    return fitting([preview_made.filled], count, room_of(card, max_new_tokens), mode_of(card, rendering))[0]


def room_of(card: Card, max_new_tokens: int) -> int | None:
    """Tokens that a prompt may have; None where the context is not known.

    An encoder-decoder writes its completion elsewhere, a decoder-only model behind the prompt.
    """
    if card.context is None:
        return None
    beside = 1 if card.family == "encoder-decoder" else max(1, max_new_tokens)
    if beside >= card.context:
        raise BadSetting("max_new_tokens", max_new_tokens, f"less than the {card.context:,} tokens of {card.name}")
    return card.context - beside


def mode_of(card: Card, rendering: Rendering = "by model") -> Mode:
    """The mode that a prompt is sent in; raises LabError for one that the model does not know."""
    if not card.modes:
        raise LabError(f"{card.name} classifies texts and cannot generate; choose a model that generates.")
    if rendering == "by model":
        return card.modes[0]
    mode_found = next((mode for mode in card.modes if (mode == "chat") == (rendering == "chat")), None)
    if mode_found is None:
        raise LabError(f"{card.name} has no chat template; choose plain or by model.")
    return mode_found


def stops(template: Template, mode: Mode, k: int, sampling: Sampling) -> Sampling:
    """The settings with the separator as a stop string, where a model would go on with another shot."""
    if mode == "chat" or not k or not template.separator:
        return sampling
    return replace(sampling, stop=tuple(dict.fromkeys((*sampling.stop, *template.stop))))


def typed_row(text: str, slots: Sequence[str]) -> dict[str, str]:
    """Lines of 'slot: text' as a row; a line that begins with no slot's name goes on with the slot before it."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.split("\n"):
        head, colon, written = line.partition(":")
        if colon and head.strip() in (*slots, "labels"):
            name = head.strip()
            fields[name] = written.removeprefix(" ")
        elif name:
            fields[name] += f"\n{line}"
    return {name: value.rstrip("\n") for name, value in fields.items()}


def keys_of(text: str) -> tuple[int, ...]:
    """Row numbers, counted from 1 with commas between them, as keys of examples; raises LabError."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if not part.isdecimal() or int(part) < 1:
            raise LabError(f"{part[:40]!r} is not a row number; write numbers from 1 with commas between them.")
    return tuple(int(part) - 1 for part in parts)


def _shots(
    template: Template, rows: PromptRows, example: Example, binding: Binding, shots: ShotSettings
) -> tuple[Example, ...]:
    if not shots.k:
        return ()
    if rows.name == TYPED:
        raise LabError("Shots come from a dataset; choose one instead of a typed row, or ask for 0 shots.")
    embed = rows.embedder(shots.embedder) if rows.embedder is not None and shots.needs_embedder else None
    return shots.choose(rows.pool(), [example], read_columns(template, binding), embed)[0]


def read_columns(template: Template, binding: Binding) -> tuple[str, ...]:
    """The columns that the instruction and the system part read: what makes two rows ask the same."""
    by_part = template.slots_by_part
    slots = [slot for part in ("system", "instruction") for slot in by_part[part] if slot in binding.columns]
    return tuple(dict.fromkeys(column for slot in slots for column in binding.columns[slot]))


def _dataset(lab: "LabContext", name: str) -> PromptRows:
    from genai_lab.services import datasets

    view = datasets.show(lab, name)
    split = next((split_name for split_name in SPLITS if view.splits.get(split_name)), next(iter(view.splits)))
    others = [split_name for split_name in view.splits if split_name != split] or [split]
    source = "train" if "train" in others else others[0]

    @lru_cache(maxsize=64)
    def row(index: int) -> Example:
        example = datasets.page(lab, view.id, index, 1, split)[0]
        return datasets.pick(lab, view.id, [int(example["_row"]) - 1])[0]

    @cache
    def pool() -> list[Example]:
        return datasets.examples(lab, view.id, split=source, count=POOL_ROWS, seed=0)

    return PromptRows(
        view.name, view.column_names, view.roles, datasets.labels(lab, view.id), split, view.splits[split], row, pool
    )


def _typed(fields: dict[str, str]) -> PromptRows:
    example = Example(key=0, fields=fields, references=(), label=None, split="typed")
    labels = tuple(part.strip() for part in fields.get("labels", "").split(",") if part.strip())
    return PromptRows(TYPED, tuple(fields), {}, labels, "typed", 1, lambda _: example, list)


def _sample(name: str) -> PromptRows:
    """Rows of a starter task, drawn with a fixed seed: a row can be tried before there is a dataset."""
    task, rng = TASKS.get(name), random.Random(SAMPLE_SEED)
    by_split: dict[str, list[Example]] = {}
    for split, count in SAMPLE_ROWS.items():
        by_split[split] = []
        for _ in range(count):
            example = task.draw(rng, split)  # type: ignore[arg-type]
            label = next(iter(example.labels.values()), None) if name == "sentiment" else None
            fields = {"input": example.source, "reference": example.references[0]}
            key = len(by_split[split]) + (0 if split == "train" else SAMPLE_ROWS["train"])
            by_split[split].append(
                Example(key=key, fields=fields, references=example.references, label=label, split=split)
            )
    labels = tuple(sorted({example.label for example in by_split["train"] if example.label is not None}))
    roles = {"input": ("input",), "reference": ("reference",)}
    items = by_split["test"]
    columns = ("input", "reference")
    return PromptRows(
        f"the sample {task.title!r}",
        columns,
        roles,
        labels,
        "test",
        len(items),
        items.__getitem__,
        lambda: by_split["train"],
    )
