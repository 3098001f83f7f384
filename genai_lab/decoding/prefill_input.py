"""What is read of a row before its first token. Imports no torch, so that rows of other engines can be made of it."""

from dataclasses import dataclass

from genai_lab.decoding.soft_prompt import SoftPrompt


@dataclass
class PrefillInput:
    """What is read of a row. `prompt` are the decoder's ids for a decoder-only model, else the encoder's.

    An encoder-decoder model's decoder begins with `begun`. The first `shared` ids are common to other rows.
    `soft` stands before the prompt.
    """

    prompt: list[int]
    decoder_prefix: list[int]
    shared: int = 0
    soft: SoftPrompt | None = None
