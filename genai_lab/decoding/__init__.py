"""Turning logits into text: settings, logits processors, the batching scheduler and the token trace.

`Sampling` is what a user chooses, `Token` and `Completion` are what comes back. Importing this package does
not import torch; `scheduler` and `logits_processors` do.
"""

from genai_lab.decoding.settings import CHAT_TOKENS, PACKED_UP_TO, TRACED_UP_TO, Sampling
from genai_lab.decoding.tokens import (
    NO_ANSWER,
    Alternative,
    Completion,
    Delta,
    FinishReason,
    Stage,
    Token,
    why_empty,
)

__all__ = [
    "CHAT_TOKENS",
    "NO_ANSWER",
    "PACKED_UP_TO",
    "TRACED_UP_TO",
    "Alternative",
    "Completion",
    "Delta",
    "FinishReason",
    "Sampling",
    "Stage",
    "Token",
    "why_empty",
]
