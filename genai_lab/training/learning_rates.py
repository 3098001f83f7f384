"""The learning rate of a run whose plan gives none: what is usual for its method, objective and size.

Models of a few million parameters learn well at ten times the rates that larger ones bear.
"""

from genai_lab.training.methods import METHODS

SMALL = 10_000_000
SMALL_REWARD = {"full": 5e-4}
# Above SMALL, as shares of the method's own rate: preferences are learned more gently than texts.
SHARES = {"dpo": 0.05, "reward": 0.5}


def default_rate(method: str, objective: str, parameters: int | None) -> float:
    """`parameters` are the base's; where they are not known, the rate of a large model."""
    way = METHODS.get(method)
    if parameters is not None and parameters <= SMALL:
        return SMALL_REWARD.get(method, way.rate) if objective == "reward" else way.rate
    return float(f"{way.large_rate * SHARES.get(objective, 1.0):.3g}")
