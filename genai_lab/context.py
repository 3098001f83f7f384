"""What services need of an open lab; `genai_lab.bootstrap` opens one."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from genai_lab.config import Config
from genai_lab.models import Options
from genai_lab.models.cache import ModelCache
from storage.database import Database

T = TypeVar("T")


@dataclass
class LabContext:
    """One open lab: its configuration, database and loaded models.

    A service that must exist once per lab (the supervisor of jobs, the writer of rankings) is registered here under its
    class, so that this module knows none of them. `worker` is True in the process of a job, which only reads.
    """

    config: Config
    database: Database
    models: ModelCache
    options: Options
    worker: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    _services: dict[type[object], object] = field(default_factory=dict)

    def service(self, kind: type[T], create: Callable[[], T]) -> T:
        """The lab's instance of `kind`, created at the first call."""
        with self.lock:
            instance = self.find_service(kind)
            if instance is None:
                instance = create()
                self._services[kind] = instance
            return instance

    def find_service(self, kind: type[T]) -> T | None:
        """The lab's instance of `kind`, or None where there is none yet."""
        instance = self._services.get(kind)
        return instance if isinstance(instance, kind) else None

    def set_service(self, instance: object) -> None:
        """Registers the lab's instance of a class, in place of an earlier one."""
        with self.lock:
            self._services[type(instance)] = instance

    def drop_service(self, kind: type[object]) -> None:
        """Forgets the lab's instance of `kind`; nothing happens where there is none."""
        with self.lock:
            self._services.pop(kind, None)

    def close(self) -> None:
        """Closes the services that have a method `close`, then the models and the database."""
        for instance in list(self._services.values()):
            if callable(close := getattr(instance, "close", None)):
                close()
        self._services.clear()
        self.models.close()
        self.database.close()
