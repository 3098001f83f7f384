"""Whether the policy has moved further from its reference than was meant."""

import numpy as np

from genai_lab.alignment.hacking.completions import BeforeAndAfter
from genai_lab.alignment.hacking.signal import SIGNALS, Reading, RowSignal


class KlBudget(RowSignal):
    name = "kl_budget"
    title = "KL against the budget"
    about = "The exact KL of a completion to the reference, above the budget that it was to keep to."
    unit = "nats per completion"
    threshold = 0.0

    def read(self, pair: BeforeAndAfter, seed: int = 0) -> Reading | None:
        if pair.after.kl is None:
            return None
        return self.read_rows(np.full(len(pair), pair.kl_budget), pair.after.kl, seed)

    @property
    def threshold_text(self) -> str:
        return "above the budget"


SIGNALS.register("kl_budget")(KlBudget())
