"""Loading models of the catalogue into memory, and what is loaded."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from genai_lab.errors import BadSetting, ModelError
from genai_lab.memory import resident
from genai_lab.models import BACKENDS, Card, Generator, Mode, Prompt
from genai_lab.models.cache import LoadedState
from genai_lab.models.loading import LoadProgress
from genai_lab.models.sizing import PACKED_DTYPES, placed_card, placed_options
from genai_lab.models.speed import measurable
from genai_lab.services.models.catalogue import show
from genai_lab.services.models.hashing import with_hash
from genai_lab.services.models.measuring import BackgroundMeasuring
from genai_lab.services.models.records import ModelView, check_ready
from genai_lab.views import View

if TYPE_CHECKING:
    from genai_lab.context import LabContext


@dataclass(frozen=True)
class Budget(View):
    """Memory of the loaded models in bytes; `loaded` maps their names to their states, `loading` those under way to how
    far they are, where that is known. `process_bytes` is the whole process: its own part (Python, torch, the app) and
    its models.
    """

    used_bytes: int
    budget_bytes: int
    loaded: dict[str, LoadedState]
    process_bytes: int = 0
    loading: dict[str, LoadProgress | None] = field(default_factory=dict)


def load(lab: "LabContext", name: str, dtype: str | None = None) -> Generator:
    """The loaded model; raises LabError for one that is archived, not there, or that does not fit into the budget.

    With a `dtype` it is loaded in that one, beside those that are loaded already.
    """
    view = show(lab, name)
    check_ready(view)
    if view.card.role != "generate":
        does = "embeds" if view.card.role == "embed" else "classifies"
        raise ModelError(f"{name} {does} texts and cannot generate; choose a model that generates.")
    card, base = with_hash(lab, view.card), _base(lab, view.card)
    base = None if base is None else with_hash(lab, base)
    card, base = _placed(card, base, dtype)
    generator = lab.models.acquire(card, base)
    if (measuring := lab.find_service(BackgroundMeasuring)) is not None:
        measuring.note_loaded(base or card)
    return generator


def placed(lab: "LabContext", view: ModelView, dtype: str | None) -> ModelView:
    """The model as `load` would load it in this dtype, in place of its own."""
    card, _ = _placed(view.card, _base(lab, view.card), dtype)
    return replace(view, card=card)


def load_watched(lab: "LabContext", name: str, pause: float) -> Iterator[LoadProgress | None]:
    """Loads as `load` does, in a thread of its own; every `pause` seconds gives how far it is, None where that is not
    known. Raises what the loading raises.
    """
    problems: list[BaseException] = []

    def read() -> None:
        try:
            load(lab, name)
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=read, name="loading", daemon=True)
    thread.start()
    while True:
        yield lab.models.loading().get(name)
        thread.join(pause)
        if not thread.is_alive():
            break
    if problems:
        raise problems[0]


def load_apart(lab: "LabContext", name: str) -> Generator:
    """The model outside the shared memory, for a worker that needs its weights themselves; the caller closes it."""
    card = show(lab, name).card
    card, base_card = _placed(card, _base(lab, card), None)
    options = placed_options(lab.options, card)
    if base_card is None:
        return BACKENDS.get(card.source.backend).load(card, options)
    base = BACKENDS.get(base_card.source.backend).load(base_card, options)
    try:
        generator: Any = BACKENDS.get(card.source.backend).load(card, options, base)
    except BaseException:
        base.close()
        raise
    generator.owned = base
    return cast(Generator, generator)


def unload(lab: "LabContext", name: str) -> None:
    """Frees its memory; texts that it is generating end where they are."""
    lab.models.unload(name)


def budget(lab: "LabContext") -> Budget:
    return Budget(lab.models.used_bytes, lab.models.budget_bytes, lab.models.loaded(), resident(), lab.models.loading())


def prompt_for(lab: "LabContext", model: str, text: str, mode: str | None = None) -> Prompt:
    """The text as the model's prompt in `mode`, or in the mode that the model does best; raises LabError."""
    card = show(lab, model).card
    if not card.modes:
        raise ModelError(f"{model} classifies texts and cannot generate; choose a model that generates.")
    best: Mode | None = next((candidate for candidate in card.modes if candidate == (mode or card.modes[0])), None)
    if best is None:
        raise BadSetting("mode", mode, f"{' or '.join(card.modes)} for {model}")
    if best == "chat":
        return Prompt(messages=({"role": "user", "content": text},), mode="chat")
    return Prompt(text=text, mode=best)


def _placed(card: Card, base: Card | None, dtype: str | None) -> tuple[Card, Card | None]:
    """The two as they are loaded: in `dtype` where one is given, an adapter always as its base."""
    below = base or card
    if dtype is not None and measurable(below):
        device = "cpu" if dtype in PACKED_DTYPES else below.device or "cpu"
        below = placed_card(below, dtype, device)
    if base is None:
        return below, None
    return replace(card, loaded_dtype=below.loaded_dtype, device=below.device), below


def _base(lab: "LabContext", card: Card) -> Card | None:
    """The card of the model below an adapter, which may be archived; raises ModelError where it is not there."""
    if card.source.base is None:
        return None
    view = show(lab, card.source.base)
    if view.status not in ("ready", "loaded", "archived"):
        raise ModelError(f"The base {view.card.name} of {card.name} is {view.status}: {view.detail}".rstrip(".") + ".")
    return view.card
