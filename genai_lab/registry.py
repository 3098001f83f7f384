"""Named things that a user chooses from: tasks, filters, backends, later metrics and methods."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from genai_lab.errors import DuplicateName, UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps a name to an object and fills itself by importing every module of `package` once.

    `renamed` maps old names, which are still found, to present ones. With a `marker` only modules whose text contains
    it are imported, where the package holds others that are heavy.
    """

    def __init__(self, noun: str, package: str, renamed: Mapping[str, str] | None = None, marker: str = "") -> None:
        self.noun, self.package, self._renamed, self.marker = noun, package, renamed or {}, marker
        self._items: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str, *, replace: bool = False) -> Callable[[T], T]:
        """Decorator that keeps the object under `name`; raises DuplicateName unless it may `replace` another."""

        def keep(item: T) -> T:
            if name in self._items and not replace:
                raise DuplicateName(self.noun, name)
            self._items[name] = item
            return item

        return keep

    def drop(self, name: str) -> None:
        """Removes a name; nothing happens where there is none."""
        self._items.pop(name, None)

    def get(self, name: str) -> T:
        """The object called `name`; raises UnknownName, which lists the existing ones.

        One that lies in the module of its own name is found without importing the others, some of which are heavy.
        """
        name = self._renamed.get(name, name)
        if name not in self._items and not self._load_alone(name):
            self._load()
        try:
            return self._items[name]
        except KeyError:
            raise UnknownName(self.noun, name, sorted(self._items)) from None

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._items))

    def __len__(self) -> int:
        self._load()
        return len(self._items)

    def _load_alone(self, name: str) -> bool:
        folders = importlib.import_module(self.package).__path__
        if name.isidentifier() and any(name == module.name for module in pkgutil.iter_modules(folders)):
            importlib.import_module(f"{self.package}.{name}")
        return name in self._items

    def _load(self) -> None:
        if not self._loaded:
            self._loaded = True
            for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                if self._registers(f"{self.package}.{module.name}"):
                    importlib.import_module(f"{self.package}.{module.name}")

    def _registers(self, module: str) -> bool:
        if not self.marker:
            return True
        spec = importlib.util.find_spec(module)
        return bool(spec and spec.origin and self.marker in Path(spec.origin).read_text(encoding="utf-8"))
