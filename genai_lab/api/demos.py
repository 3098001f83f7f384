"""Demos: pages for visitors, whose votes land in a campaign."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genai_lab.api.base import Table, names_of
from genai_lab.context import LabContext
from genai_lab.services.feedback import demos

if TYPE_CHECKING:
    from genai_lab.services.feedback.demos import DemoView


class Demos:
    """Pages for visitors, blind and side by side."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def create(
        self,
        title: str,
        models: Any,
        *,
        preset: str = "balanced",
        temperature: float | None = None,
        max_new_tokens: int = 128,
        prompts: Sequence[str] = (),
        **plan: Any,
    ) -> "DemoView":
        """A demo of two to six models; further keywords are those of `DemoPlan`."""
        sampling = demos.sampling(self.context, preset, max_new_tokens, temperature)
        chosen = demos.DemoPlan(title, names_of(models), tuple(prompts), sampling=sampling, **plan)
        return demos.create(self.context, chosen)

    def list(self) -> "Table[DemoView]":
        return Table(demos.find(self.context))

    def get(self, id: int) -> "DemoView":
        return demos.show(self.context, id)

    def renew_link(self, id: int) -> "DemoView":
        """A new link; the old one opens nothing any more."""
        demos.link(self.context, id, renew=True)
        return self.get(id)

    def close(self, id: int) -> "DemoView":
        return demos.close(self.context, id)

    def reopen(self, id: int) -> "DemoView":
        return demos.reopen(self.context, id)
