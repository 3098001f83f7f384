"""Which systems a campaign compares, whether anything has said so, and their names given by hand."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm.attributes import flag_modified

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback.masking import mask_names, pattern
from genai_lab.services import feedback
from genai_lab.services.feedback.annotation_service import AnnotationService
from genai_lab.views import View
from storage import feedback as queries
from storage.feedback_tables import Candidate, Item
from storage.tables import Run

LONGEST_NAME = 200


@dataclass(frozen=True)
class CampaignSystems(View):
    """The systems of a campaign by name; not `named` where they are no more than places in a file."""

    names: tuple[str, ...]
    named: bool

    @property
    def problem(self) -> str:
        """Why there is no leaderboard and never will be as things are; empty where there can be one."""
        if not self.named:
            return (
                f"The file does not say which system wrote what: {', '.join(self.names)} are places in it, and a "
                "leaderboard of places says nothing. Name the systems, or import the file again with the column that "
                "names them."
            )
        if len(self.names) == 1:
            return (
                f"All candidates come from one system, {self.names[0]}: their ranking teaches a reward model, but "
                "there is no leaderboard. For one, compare two models or two temperatures."
            )
        return ""


def of(lab: LabContext, which: int | str) -> CampaignSystems:
    """Raises LabError where there is no such campaign."""
    view = feedback.show(lab, which)
    with lab.database.reading() as session:
        names = tuple(sorted(queries.system_names(session, view.id)))
        source = session.get_one(Run, view.run).settings.get("source") or {}
    return CampaignSystems(names, not source.get("unnamed"))


def name_systems(lab: LabContext, which: int | str, names: Mapping[str, str]) -> CampaignSystems:
    """Gives the places of an import the names of the systems that wrote them. Raises LabError."""
    view, compared = feedback.show(lab, which), of(lab, which)
    if compared.named:
        raise LabError(f"The systems of {view.name} have names already: {', '.join(compared.names)}.")
    new_names = {position: " ".join((names.get(position) or "").split()) for position in compared.names}
    unnamed = [position for position, name in new_names.items() if not name]
    if unnamed:
        raise LabError(f"{', '.join(unnamed)} {'has' if len(unnamed) == 1 else 'have'} no name; write one for each.")
    if len(set(new_names.values())) < len(new_names):
        raise LabError("Two places have the same name; write a different one for each.")
    if max(map(len, new_names.values())) > LONGEST_NAME:
        raise LabError(f"The name of a system has at most {LONGEST_NAME} characters.")
    hidden = pattern(set(new_names.values()))
    with lab.database.session() as session:
        statement = select(Candidate).join(Item, Item.id == Candidate.item_id).where(Item.campaign_id == view.id)
        for candidate in session.scalars(statement):
            candidate.system = new_names[candidate.system]
            candidate.shown = mask_names(candidate.text, hidden)
        run = session.get_one(Run, view.run)
        run.settings["source"] = {**run.settings["source"], "unnamed": False}
        flag_modified(run, "settings")
    if (annotation_service := lab.find_service(AnnotationService)) is not None:
        annotation_service.texts.clear()  # what annotators are shown may name a system now
    return of(lab, which)
