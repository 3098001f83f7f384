"""The share of completions that do not come to an end."""

from genai_lab.alignment.hacking.completions import Floats, HeldOutCompletions
from genai_lab.alignment.hacking.signal import SIGNALS, RowSignal


class CutShare(RowSignal):
    name = "cut_share"
    title = "Cut by length"
    about = "The share of completions that were cut because they did not end."
    threshold = 0.1

    def values(self, completions: HeldOutCompletions) -> Floats:
        return (~completions.ended).astype(float)


SIGNALS.register("cut_share")(CutShare())
