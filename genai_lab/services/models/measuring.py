"""Measuring how fast models are here, on demand and once in the background; choosing a model's dtype by hand."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from queue import Queue
from typing import TYPE_CHECKING

from genai_lab.decoding import Completion
from genai_lab.errors import BadSetting, LabError, ModelError
from genai_lab.machine import this_machine
from genai_lab.models import Card, Generator
from genai_lab.models.sizing import GENERATING, device_of, placed_card
from genai_lab.models.speed import candidates, class_of, dtypes_on, measurable, measure_all, speed_of
from genai_lab.services.models.catalogue import show
from genai_lab.services.models.hashing import with_hash
from genai_lab.services.models.records import ModelView, check_ready, existing
from genai_lab.services.models.speeds import Measurement, measurements
from storage import models as queries

if TYPE_CHECKING:
    from genai_lab.context import LabContext

log = logging.getLogger(__name__)
AUTO = "auto"
# Parameters up to which a CPU is measured beside an accelerator; larger models would take minutes there.
BESIDE_ACCELERATOR = 1_000_000_000
# Seconds between two looks at whether any model writes, and how many quiet ones come before a measurement.
LOOK, QUIET = 1.0, 3
_MEASURING = threading.Lock()


def measure(
    lab: "LabContext", name: str, *, packed: bool = True, tell: Callable[[str], None] = lambda text: None
) -> ModelView:
    """Times the model in each dtype on each device of this machine and keeps the figures; takes some seconds.

    int8 and int4 are measured too where they are `packed`. `tell` hears what is measured next. Raises LabError for a
    model that is not there, or that cannot be loaded at all.
    """
    view = show(lab, name)
    check_ready(view)
    if view.card.family not in GENERATING or view.card.is_adapter or view.card.path is None:
        raise ModelError(f"{name} cannot be measured: only models that generate here on their own have a speed.")
    with _MEASURING:
        cards = _cards(lab, with_hash(lab, view.card), packed)
        others = [card for card in cards if lab.models.state_of(card) is None]
        results = _measured(lab, cards, tell)
    speeds, refused = [], {}
    for card, result in zip(cards, results, strict=True):
        speed = None
        if not isinstance(result, LabError):
            speed = speed_of(*result, memory_bytes=_memory(lab, card))
        if speed is not None:
            speeds.append(speed)
        else:
            reason = str(result) if isinstance(result, LabError) else "its texts ended before they could be timed"
            refused[f"{card.loaded_dtype} on {card.device}"] = reason
    if not speeds:
        raise ModelError(f"{name} could not be measured: {'; '.join(refused.values())}")
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    measurements(lab).keep(
        Measurement(name, class_of(view.card), str(this_machine()), measured_at, tuple(speeds), refused)
    )
    placed = show(lab, name)
    for card in others:
        if (card.loaded_dtype, card.device) != (placed.card.loaded_dtype, placed.card.device):
            lab.models.unload_card(card)
    return show(lab, name)


def measure_watched(lab: "LabContext", name: str) -> Iterator[str]:
    """Measures as `measure` does, in a thread of its own; gives what it hears. Raises what measuring raises."""
    heard: Queue[str | None] = Queue()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            measure(lab, name, tell=heard.put)
        except BaseException as problem:
            problems.append(problem)
        finally:
            heard.put(None)

    threading.Thread(target=work, name="measuring", daemon=True).start()
    while (text := heard.get()) is not None:
        yield text
    if problems:
        raise problems[0]


def choose_dtype(lab: "LabContext", name: str, dtype: str) -> ModelView:
    """Loads the model in this dtype from now on, or in the one measured fastest with "auto"; raises LabError."""
    view = show(lab, name)
    if view.card.is_adapter:
        raise ModelError(f"{name} has the dtype of {view.card.source.base}, which it stands on; choose it there.")
    view.card.require_torch("another dtype")
    if not measurable(view.card):
        raise ModelError(f"{name} is loaded in one dtype only; models that generate here have a choice.")
    allowed = (AUTO, *dtypes(lab))
    if dtype not in allowed:
        raise BadSetting("dtype", dtype, f"one of {', '.join(allowed)} on this machine")
    with lab.database.session() as session:
        row = existing(queries.model_named(session, name), lab, name)
        row.dtype = None if dtype == AUTO else dtype
    return show(lab, name)


def dtypes(lab: "LabContext") -> tuple[str, ...]:
    """Those that a model can be loaded in on this machine."""
    return tuple(dict.fromkeys(dtype for device in devices(lab) for dtype in dtypes_on(device)))


def devices(lab: "LabContext") -> tuple[str, ...]:
    """The devices of this machine that the lab may use, the one that is taken without a measurement first."""
    first = device_of(lab.options)
    return (first,) if lab.options.device != AUTO else tuple(dict.fromkeys((first, "cpu")))


class BackgroundMeasuring:
    """Measures the first model of each size class that is loaded, once no model writes; the app has one."""

    def __init__(self, lab: "LabContext") -> None:
        self._lab, self._lock = lab, threading.Lock()
        self._waiting: dict[str, str] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def note_loaded(self, card: Card) -> None:
        """Takes the model into the queue where nothing of its class has been measured on this machine."""
        if not measurable(card) or measurements(self._lab).of_class(class_of(card)) is not None:
            return
        with self._lock:
            self._waiting.setdefault(class_of(card), card.name)
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._work, name="measuring", daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        """Until nothing is left to be measured."""
        if (thread := self._thread) is not None:
            thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or self._stopped.is_set():
                    self._thread = None
                    return
                name = next(iter(self._waiting.values()))
            try:
                self._wait_until_quiet()
                measure(self._lab, name, packed=False, tell=lambda text: self._check())
            except _Stopped:
                pass
            except LabError as problem:
                log.warning("the speed of %s is not measured: %s", name, problem)
            except Exception:
                log.exception("the speed of %s is not measured", name)
            with self._lock:
                self._waiting = {kind: other for kind, other in self._waiting.items() if other != name}

    def _wait_until_quiet(self) -> None:
        quiet = 0
        while quiet < QUIET:
            self._stopped.wait(LOOK)
            self._check()
            quiet = 0 if any(state.busy for state in self._lab.models.loaded().values()) else quiet + 1

    def _check(self) -> None:
        if self._stopped.is_set():
            raise _Stopped


class _Stopped(Exception):
    """The app is closing."""


def measure_in_background(lab: "LabContext") -> None:
    """From now on the first model of each size class that is loaded is measured; GENAI_LAB_MEASURE=0 turns it off."""
    if lab.config.measure:
        lab.service(BackgroundMeasuring, lambda: BackgroundMeasuring(lab))


def _cards(lab: "LabContext", card: Card, packed: bool) -> list[Card]:
    """The model as it is to be loaded for each measurement; what another engine computes has one dtype."""
    if not measurable(card):
        return [replace(card, device=card.device or "cpu")]
    usable = devices(lab)
    if len(usable) > 1 and (card.parameters or 0) > BESIDE_ACCELERATOR:
        usable = usable[:1]
    return [placed_card(card, dtype, device) for dtype, device in candidates(usable, packed)]


def _measured(
    lab: "LabContext", cards: list[Card], tell: Callable[[str], None]
) -> "list[tuple[Generator, list[Completion]] | LabError]":
    room = lab.models.budget_bytes - lab.models.used_bytes
    needed = sum(card.memory_bytes or 0 for card in cards if lab.models.state_of(card) is None)
    return measure_all(
        [lambda card=card: lab.models.acquire(card) for card in cards],  # type: ignore[misc]
        needed <= room,
        lambda card: tell(f"{card.loaded_dtype} on {card.device}"),
    )


def _memory(lab: "LabContext", card: Card) -> int | None:
    """What the loaded model took, else what is foreseen."""
    state = lab.models.state_of(card)
    return state.memory_bytes if state is not None else card.memory_bytes
