"""What a user chooses: how the next token is sampled and where a text ends."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from genai_lab.errors import BadSetting
from genai_lab.settings import as_mapping, check_settings, read_settings, setting

# Parameters up to which float32 models on a CPU get a traced step, and up to which it reads packed weights.
TRACED_UP_TO, PACKED_UP_TO = 200_000_000, 30_000_000
# A chat ends by itself; this bounds one that does not.
CHAT_TOKENS = 512


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Raises BadSetting when a value is outside its range."""

    max_new_tokens: int = setting(128, "Stop after this many new tokens.", 1, 4096, unit="tokens")
    temperature: float = setting(0.8, "Divides the logits: below 1 sharpens, above 1 flattens.", 0.01, 5.0, step=0.01)
    top_k: int = setting(0, "Keep only the k most probable tokens; 0 is off.", 0, 1000)
    top_p: float = setting(
        1.0, "Keep the smallest set of tokens whose probabilities sum to p; 1 is off.", 0.01, 1.0, step=0.01
    )
    min_p: float = setting(
        0.0, "Drop tokens less probable than this share of the best one; 0 is off.", 0.0, 1.0, step=0.01, more=True
    )
    typical_p: float = setting(
        1.0,
        "Keep tokens whose surprise is closest to the expected one, up to this mass; 1 is off.",
        0.01,
        1.0,
        step=0.01,
        more=True,
    )
    repetition_penalty: float = setting(
        1.0, "Makes tokens that have occurred less likely; 1 is off.", 0.5, 3.0, step=0.05, more=True
    )
    no_repeat_ngram_size: int = setting(
        0,
        "Never repeat a run of this many tokens; 0 is off.",
        0,
        20,
        unit="tokens",
        more=True,
        label="No-repeat n-gram",
        renamed_from=("no_repeat_ngram",),
    )
    num_beams: int = setting(
        1, "Beam search with this many beams; 1 is off.", 1, 16, more=True, label="Beams", renamed_from=("beams",)
    )
    num_return_sequences: int = setting(
        1,
        "How many completions to draw, with seeds counting up.",
        1,
        16,
        more=True,
        label="Completions",
        renamed_from=("num_completions", "n"),
    )
    greedy: bool = setting(
        False,
        "Always take the most probable token; temperature, top-k, top-p have no effect.",
        opposite_of=("do_sample",),
    )
    stop: tuple[str, ...] = setting(
        (), "End before any of these texts; literal, not patterns.", more=True, renamed_from=("stop_strings",)
    )
    seed: int | None = setting(None, "Same seed, same text; empty draws one.", 0, 2**31 - 1, more=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", tuple(s for s in self.stop if s))
        if len(self.stop) > 16 or any(len(s) > 200 for s in self.stop):
            raise BadSetting("stop", f"{len(self.stop)} texts", "at most 16 texts of at most 200 characters")
        check_settings(self)

    def seeded(self) -> "Sampling":
        """The same settings with a seed drawn where there was none."""
        return self if self.seed is not None else replace(self, seed=secrets.randbelow(2**31 - 1))

    def as_dict(self) -> dict[str, Any]:
        return as_mapping(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Sampling":
        """From present or older names; raises BadSetting for an unknown name or a value outside its range."""
        return read_settings(cls, values)
