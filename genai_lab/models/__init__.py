"""What can generate or score: the contract of a model and the kinds of place that one comes from.

A `Card` says what a model is, before it is loaded; a `Generator` is a loaded one. Backends (one file each, in
`BACKENDS`) read a card from a `Source` and load it: starter, local folder, Hub snapshot, PEFT adapter, endpoint, fake.
"""

from genai_lab.models.backend import BACKENDS, Backend, Options, SourceCheck, SourceField, detect_source
from genai_lab.models.card import CACHED, Card, Family, Mode, Role, Source
from genai_lab.models.request import LONGEST_PROMPT, Generator, Prompt, Request, Stream

__all__ = [
    "BACKENDS",
    "CACHED",
    "LONGEST_PROMPT",
    "Backend",
    "Card",
    "Family",
    "Generator",
    "Mode",
    "Options",
    "Prompt",
    "Request",
    "Role",
    "Source",
    "SourceCheck",
    "SourceField",
    "Stream",
    "detect_source",
]
