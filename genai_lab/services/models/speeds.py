"""What was measured of models on this machine, kept in the data home, and the dtype and device that follow from it.

A data home that was taken to another machine keeps its figures for the first one and uses none of them.
"""

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy.orm import Session

from genai_lab.files import write_json
from genai_lab.machine import this_machine
from genai_lab.models import Card
from genai_lab.models.sizing import PACKED_DTYPES, device_of, load_dtype, placed_card
from genai_lab.models.speed import Speed, class_of, fastest, measurable
from genai_lab.views import View
from storage import models as queries
from storage.tables import Model

if TYPE_CHECKING:
    from genai_lab.context import LabContext

log = logging.getLogger(__name__)
FILE = "speeds.json"
# Why a model is loaded in its dtype: GENAI_LAB_DTYPE, its user's choice, a measurement, or none of these yet.
Reason = Literal["set for the lab", "chosen", "measured", "default"]


@dataclass(frozen=True)
class Measurement(View):
    """The speeds of one model on this machine; `refused` says of "DTYPE on DEVICE" why it could not be measured."""

    model: str
    size_class: str
    machine: str
    measured_at: str
    speeds: tuple[Speed, ...]
    refused: dict[str, str] = field(default_factory=dict)


class Measurements:
    """Those in the file of a data home that were made on this machine."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._read: tuple[int, tuple[Measurement, ...]] = (-1, ())

    def all(self) -> tuple[Measurement, ...]:
        """The oldest first; the file is read again once another process has written it."""
        try:
            changed = self._path.stat().st_mtime_ns
        except OSError:
            return ()
        with self._lock:
            if self._read[0] != changed:
                here = str(this_machine())
                self._read = changed, tuple(item for item in self._stored() if item.machine == here)
            return self._read[1]

    def of_model(self, name: str) -> Measurement | None:
        return next((item for item in self.all() if item.model == name), None)

    def of_class(self, size_class: str) -> Measurement | None:
        """The newest one of the class."""
        return next((item for item in reversed(self.all()) if item.size_class == size_class), None)

    def keep(self, measurement: Measurement) -> None:
        """In place of an earlier one of the same model on the same machine."""
        names = measurement.model, measurement.machine
        with self._lock:
            others = [item for item in self._stored() if (item.model, item.machine) != names]
            write_json(self._path, [asdict(item) for item in (*others, measurement)])
            self._read = (-1, ())

    def _stored(self) -> list[Measurement]:
        try:
            return [_measurement(item) for item in json.loads(self._path.read_text(encoding="utf-8"))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            log.warning("%s cannot be read; models are measured again", self._path, exc_info=True)
            return []


def _measurement(stored: dict[str, Any]) -> Measurement:
    return Measurement(**{**stored, "speeds": tuple(Speed(**speed) for speed in stored["speeds"])})


def measurements(lab: "LabContext") -> Measurements:
    """The lab's one."""
    return lab.service(Measurements, lambda: Measurements(lab.config.home / FILE))


class Placing:
    """In which dtype and on which device each model is loaded, as of the moment at which this was made."""

    def __init__(self, lab: "LabContext", session: Session) -> None:
        self._options, self._measurements = lab.options, measurements(lab)
        self._choices: Mapping[int, str] = queries.dtype_choices(session)

    def choice(self, row: Model) -> str | None:
        """What the user chose for the model, or for the base that an adapter stands on."""
        return self._choices.get(row.base_id if row.base_id is not None else row.id)

    def speeds(self, name: str) -> tuple[Speed, ...]:
        measurement = self._measurements.of_model(name)
        return measurement.speeds if measurement is not None else ()

    def place(self, row: Model, card: Card) -> tuple[Card, Reason | None]:
        """The card with its dtype, device and memory, and why; None where its dtype is not the lab's to choose."""
        if not card.is_adapter and not measurable(card):
            return card, None
        best, options, choice = self._best(card), self._options, self.choice(row)
        if options.dtype != "auto":
            dtype, reason = options.dtype, "set for the lab"
        elif choice is not None:
            dtype, reason = choice, "chosen"
        elif best is not None:
            dtype, reason = best.dtype, "measured"
        else:
            dtype, reason = load_dtype(options, card.dtype or "float32", card.family), "default"
        device = device_of(options)
        if options.device == "auto" and dtype in PACKED_DTYPES:
            device = "cpu"
        elif best is not None and best.dtype == dtype:
            device = best.device
        return placed_card(card, dtype, device), reason  # type: ignore[return-value]

    def _best(self, card: Card) -> Speed | None:
        """Of the model's own measurement, else of its size class's, among the devices that the lab may use."""
        measurement = self._measurements.of_model(card.name) or self._measurements.of_class(class_of(card))
        device = self._options.device
        speeds = measurement.speeds if measurement is not None else ()
        return fastest(speed for speed in speeds if device in ("auto", speed.device))
