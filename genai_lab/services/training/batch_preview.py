"""The first batch of a run as the model will read it, token by token."""

from dataclasses import dataclass
from typing import Any, Literal

from genai_lab.context import LabContext
from genai_lab.services.training.preparation import Prepared, ResolvedPlan, folder_of, format_words, known, prepare
from genai_lab.settings import read_settings
from genai_lab.training import IGNORED, Plan
from genai_lab.training.batches import Draws, training_draws
from genai_lab.training.objectives import OBJECTIVES, Drawn
from genai_lab.views import View

Kind = Literal["read", "trained", "masked", "corrupted", "padded"]
SHOWN_ROWS = 8


@dataclass(frozen=True)
class Row(View):
    """`tokens` of what is read, and `target` of what an encoder-decoder writes, as (text, kind); `label` is what is to
    be learned, decoded. Of a pair they are the chosen and the rejected side.
    """

    tokens: tuple[tuple[str, Kind], ...]
    target: tuple[tuple[str, Kind], ...]
    label: str


@dataclass(frozen=True)
class FirstBatch(View):
    """`padding` is the share of the batch's tokens that are padding; the rest counts rows of the whole run.

    `form` says whether the rows are read in a chat template.
    """

    rows: tuple[Row, ...]
    batch: int
    width: int
    padding: float
    prepared: Prepared
    trained_tokens: int
    form: str = ""


def first_batch(lab: LabContext, plan: Plan) -> FirstBatch:
    """Raises LabError for whatever the run would be refused for."""
    from genai_lab.training.loading import load_tokenizer

    found = known(lab, plan)
    tokenizer = load_tokenizer(folder_of(found))
    made = prepare(lab, plan, found, tokenizer)
    objective = OBJECTIVES.get(plan.objective)
    settings: Any = read_settings(objective.settings, plan.objective_settings, objective.title)
    draws = training_draws(
        plan, made.train, made.steps, objective, settings, tokenizer, found.architecture, made.turns, made.sizes
    )
    size = plan.training.per_device_batch_size
    drawn = [draws[place] for place in range(size)]
    sides = [*drawn, *(one.rejected for one in drawn if one.rejected is not None)]
    width = max(len(one.ids) for one in sides)
    learned = sum(sum(label != IGNORED for label in one.labels) for one in sides)
    rows = tuple(_row(one, width, tokenizer, found, plan, draws) for one in drawn[:SHOWN_ROWS])
    padding = 1 - sum(len(one.ids) for one in sides) / (width * len(sides))
    return FirstBatch(rows, size, width, padding, made, learned, format_words(plan, found))


def _row(one: Drawn, width: int, tokenizer: Any, found: ResolvedPlan, plan: Plan, draws: Draws) -> Row:
    if one.rejected is not None:
        return _pair(one, one.rejected, width, tokenizer)
    pair = found.architecture == "encoder-decoder"
    head = draws.objective.head
    changed = set(one.changed)
    kinds: list[Kind] = []
    for place, token in enumerate(one.ids):
        if place in changed:
            kinds.append("masked" if token == tokenizer.mask_token_id else "corrupted")
        elif head == "lm" and not pair and place and one.labels[place - 1] != IGNORED:
            kinds.append("trained")
        else:
            kinds.append("read")
    tokens = [(_piece(tokenizer, token), kind) for token, kind in zip(one.ids, kinds, strict=True)]
    padding: Kind = "padded"
    tokens += [(_piece(tokenizer, tokenizer.pad_token_id), padding)] * (width - len(one.ids))
    if head == "classify":
        return Row(tuple(tokens), (), found.labels[one.labels[0]])
    learned = [label for label in one.labels if label != IGNORED]
    trained: Kind = "trained"
    target = tuple((_piece(tokenizer, token), trained) for token in learned) if pair else ()
    return Row(tuple(tokens), target, str(tokenizer.decode(learned)))


def _pair(one: Drawn, other: Drawn, width: int, tokenizer: Any) -> Row:
    """Both sides; what comes after their common beginning is what they are compared by."""
    ids = (one.ids, other.ids)
    same = next((n for n, (a, b) in enumerate(zip(*ids, strict=False)) if a != b), min(map(len, ids)))
    shown = []
    for side in ids:
        sizes: dict[Kind, int] = {"read": same, "trained": len(side) - same, "padded": width - len(side)}
        kinds = [kind for kind, count in sizes.items() for _ in range(count)]
        padded = [*side, *[tokenizer.pad_token_id] * (width - len(side))]
        shown.append(tuple(zip((_piece(tokenizer, token) for token in padded), kinds, strict=True)))
    weight = "" if one.weight == 1 else f", weight {one.weight:g}"
    return Row(shown[0], shown[1], f"the first above the second{weight}")


def _piece(tokenizer: Any, token: int) -> str:
    piece = tokenizer.convert_ids_to_tokens(token)
    if isinstance(piece, str) and piece.startswith("▁"):
        return piece.replace("▁", " ")
    return str(tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False))
