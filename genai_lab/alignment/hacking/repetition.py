"""How much of a completion it has said before."""

import numpy as np

from genai_lab.alignment.hacking.completions import Floats, HeldOutCompletions
from genai_lab.alignment.hacking.signal import SIGNALS, RowSignal
from genai_lab.rewards.repetition import repeated_share


class Repetition(RowSignal):
    name = "repetition"
    title = "Repeated 3-grams"
    about = "The share of a completion's 3-grams of words that stand in it before (Welleck et al., 2020)."
    threshold = 0.05

    def values(self, completions: HeldOutCompletions) -> Floats:
        return np.array([repeated_share(text, 3) for text in completions.texts])


SIGNALS.register("repetition")(Repetition())
