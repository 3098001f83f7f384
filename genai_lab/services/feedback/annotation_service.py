"""What all answers of annotators share: the writer, and counts and texts that are read once."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.services.feedback.writer import Writer
from storage import answering as queries

REMEMBERED = 20_000
Texts = tuple[str, dict[int, str]]  # the prompt, and candidate id -> text


@dataclass
class AnnotationService:
    """What all answers share: the writer, counts that need not be made every time, and texts, which never change."""

    lab: LabContext
    writer: Writer
    counts: dict[int, tuple[float, int]] = field(default_factory=dict)
    looked: dict[int, float] = field(default_factory=dict)
    texts: OrderedDict[int, Texts] = field(default_factory=OrderedDict)
    titles: dict[tuple[int, str, int], str] = field(default_factory=dict)

    def close(self) -> None:
        self.writer.close()

    def read(self, session: Session, items: Sequence[int]) -> dict[int, Texts]:
        lacking = [item for item in items if item not in self.texts]
        if lacking:
            self.texts |= queries.texts(session, lacking)
        texts = {item: self.texts[item] for item in items}
        while len(self.texts) > REMEMBERED:
            self.texts.popitem(last=False)
        return texts


def annotation_service(lab: LabContext) -> AnnotationService:
    """The lab's one annotation service, opened when it is first needed."""
    return lab.service(AnnotationService, lambda: AnnotationService(lab, Writer(lab.database)))
