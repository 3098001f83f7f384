"""Models of demos are loaded before a visitor asks: when a demo is made or opened, and when the app starts."""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import models
from genai_lab.views import View

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Readiness(View):
    """How many of a demo's models are in memory."""

    ready: int
    models: int

    @property
    def complete(self) -> bool:
        return self.ready >= self.models

    def as_dict(self) -> dict[str, Any]:
        return {"ready": self.ready, "models": self.models}


class Warmth:
    """One thread loads what is wanted, one model after the other; a model that cannot be loaded is left to the answer
    that needs it, which says why.
    """

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab
        self._wanted: list[str] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def want(self, names: Iterable[str]) -> None:
        loaded = set(self._lab.models.loaded())
        with self._lock:
            self._wanted += [name for name in dict.fromkeys(names) if name not in loaded and name not in self._wanted]
            if self._wanted and self._thread is None:
                self._thread = threading.Thread(target=self._load, name="warming", daemon=True)
                self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until nothing is wanted any more."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _load(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self._thread = None
                    return
                name = self._wanted[0]
            try:
                if models.show(self._lab, name).card.family != "endpoint":
                    models.load(self._lab, name)
            except LabError as problem:
                log.warning("the demo model %s is not loaded: %s", name, problem)
            except Exception:
                log.exception("the demo model %s is not loaded", name)
            with self._lock:
                self._wanted.remove(name)


def warmth(lab: LabContext) -> Warmth:
    """The lab's one."""
    return lab.service(Warmth, lambda: Warmth(lab))


def warm(lab: LabContext, names: Sequence[str]) -> None:
    """Begins to load these models, in the background."""
    warmth(lab).want(names)


def warm_open(lab: LabContext) -> None:
    """Begins to load the models of every open demo, those of the newest first."""
    from genai_lab.services.feedback import demos

    warm(lab, [name for view in demos.find(lab) if not view.closed for name in view.plan.models])


def readiness(lab: LabContext, names: Sequence[str]) -> Readiness:
    """How many of these models can answer at once; an endpoint always can."""
    loaded = set(lab.models.loaded())
    ready = 0
    for name in names:
        try:
            ready += name in loaded or models.show(lab, name).card.family == "endpoint"
        except LabError:
            continue
    return Readiness(ready, len(names))
