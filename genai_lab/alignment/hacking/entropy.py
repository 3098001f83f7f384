"""How sure the policy is of each token."""

from genai_lab.alignment.hacking.completions import Floats, HeldOutCompletions
from genai_lab.alignment.hacking.signal import DOWN, SIGNALS, RowSignal


class Entropy(RowSignal):
    name = "entropy"
    title = "Entropy"
    about = "Of the distribution at each token: a policy that has collapsed is sure of everything it writes."
    unit = "nats per token"
    wrong = DOWN
    threshold = 0.5
    relative = True

    def values(self, completions: HeldOutCompletions) -> Floats | None:
        return completions.entropy


SIGNALS.register("entropy")(Entropy())
