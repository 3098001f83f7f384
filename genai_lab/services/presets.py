"""Sampling settings under a name: some that everybody has, and the user's own."""

from dataclasses import dataclass

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.views import View
from storage import presets as queries

BUILTIN = {
    "greedy": Sampling(greedy=True),
    "precise": Sampling(temperature=0.3, top_p=0.9),
    "balanced": Sampling(temperature=0.8, top_p=0.95),
    "creative": Sampling(temperature=1.2, min_p=0.05),
    "one line": Sampling(greedy=True, stop=("\n",)),
}


@dataclass(frozen=True)
class Preset(View):
    name: str
    sampling: Sampling
    builtin: bool


def presets(lab: LabContext) -> dict[str, Preset]:
    """The built-in presets, then the user's own by name."""
    with lab.database.reading() as session:
        saved = {
            row.name: Preset(row.name, Sampling.from_dict(row.settings), False) for row in queries.all_presets(session)
        }
    return {name: Preset(name, sampling, True) for name, sampling in BUILTIN.items()} | saved


def save_preset(lab: LabContext, name: str, sampling: Sampling) -> None:
    """Keeps the settings under `name`, in place of an own preset of that name; raises LabError for a bad name."""
    name = name.strip()
    if not 1 <= len(name) <= 60:
        raise LabError("A preset's name needs 1 to 60 characters; type one.")
    if name in BUILTIN:
        raise LabError(f"The preset {name!r} is built in and stays as it is; choose another name.")
    with lab.database.session() as session:
        queries.put_preset(session, name, sampling.as_dict())


def delete_preset(lab: LabContext, name: str) -> None:
    if name in BUILTIN:
        raise LabError(f"The preset {name!r} is built in and cannot be deleted.")
    with lab.database.session() as session:
        if not queries.drop_preset(session, name):
            raise LabError(f"There is no preset called {name!r}; it may have been deleted already.")
