"""The settings that a generation starts from where none are chosen: the model's own, else the lab's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genai_lab.decoding import CHAT_TOKENS, Sampling
from genai_lab.models import Card
from genai_lab.models.generation_config import SHAPES, generation_settings
from genai_lab.services import models
from genai_lab.settings import present_names
from genai_lab.views import View

if TYPE_CHECKING:
    from genai_lab.context import LabContext


@dataclass(frozen=True)
class Defaults(View):
    """`sampling` is what a new prompt of the model starts from; `own` names the settings that the model's authors chose
    (in its generation_config.json), the rest are the lab's.
    """

    sampling: Sampling
    own: frozenset[str]

    def origin(self, name: str) -> str:
        """Where a setting's value comes from, in words for people."""
        return "the model's own" if name in self.own else "the lab's default"


def defaults(lab: "LabContext", model: str, mode: str | None = None) -> Defaults:
    """What generating with `model` in `mode` (None: the one it does best) starts from; raises UnknownName."""
    card = models.show(lab, model).card
    stated = generation_settings(_folder(lab, card), encoder_decoder=card.family == "encoder-decoder")
    length = stated.get("max_new_tokens") or (CHAT_TOKENS if _is_chat(card, mode) else Sampling().max_new_tokens)
    if card.context is not None:
        # Half of the context stays for the prompt.
        length = min(length, max(1, card.context // 2))
    return Defaults(Sampling(**{**stated, "max_new_tokens": length}), frozenset(stated))


def sampling_for(lab: "LabContext", model: str, settings: Mapping[str, Any], mode: str | None = None) -> Sampling:
    """The chosen settings, by name, and the model's defaults for the rest; raises BadSetting and UnknownName.

    A model that is greedy by default samples where a temperature or another setting of sampling is chosen.
    """
    start, settings = defaults(lab, model, mode).sampling.as_dict(), present_names(Sampling, settings)
    if any(name in settings for name in SHAPES):
        start["greedy"] = False
    return Sampling.from_dict({**start, **settings})


def _is_chat(card: Card, mode: str | None) -> bool:
    return (mode or next(iter(card.modes), None)) == "chat"


def _folder(lab: "LabContext", card: Card) -> Any:
    """The folder whose settings count: an adapter has its base's."""
    return models.show(lab, card.source.base).card.path if card.source.base else card.path
