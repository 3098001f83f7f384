"""The models that the package ships: trained by its own code, usable without a network."""

from pathlib import Path

from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Card, Options, Source
from genai_lab.models.inspect import inspect_folder
from genai_lab.models.local import FolderBackend

WEIGHTS = Path(__file__).resolve().parents[1] / "starter" / "weights"


def starters() -> list[str]:
    """Names of the starter models whose weights are there."""
    return sorted(path.parent.name for path in WEIGHTS.glob("starter-*/config.json"))


class Starter(FolderBackend):
    name = "starter"
    title = "Starter model"
    shipped = True
    precedence = 10

    def detect(self, text: str, options: Options) -> Source | None:
        return Source(self.name, text) if text in starters() else None

    def describe(self, source: Source) -> str:
        return "shipped with the lab"

    def inspect(self, source: Source, name: str, options: Options) -> Card:
        names = starters()
        if source.location not in names:
            listed = ", ".join(names) or "none; build them with `make starter`"
            raise ModelError(f"There is no starter model called {source.location[:100]!r}. Known: {listed}.")
        return inspect_folder(WEIGHTS / source.location, name, source, options)


BACKENDS.register("starter")(Starter())
