"""Agreement and leaderboard at size, and whether their intervals hold what they say.

`python -m benchmarks.leaderboard --out FILE`: medians of 5 runs on one thread; coverage over simulated annotators of
known strength.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from genai_lab.feedback import bradley_terry as bt
from genai_lab.feedback.agreement import agreement
from genai_lab.feedback.simulate import SimulatedAnnotator, ballot, labels

ROUNDS = 5


def timed(work: Callable[[], Any]) -> float:
    durations = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        durations.append(time.perf_counter() - began)
    return round(statistics.median(durations), 3)


def speed() -> dict[str, float]:
    strengths = np.linspace(-1.5, 1.5, 20)
    votes, names = ballot(list(strengths), 20_000, [SimulatedAnnotator()], 0), [f"system {n}" for n in range(20)]
    items = np.arange(20_000) // 3
    grouped = bt.Ballot(votes.first, votes.second, votes.outcome, votes.weight, items)
    length = np.random.default_rng(0).normal(0, 50, 20_000)
    long = bt.Ballot(votes.first, votes.second, votes.outcome, votes.weight, None, length)
    ballot_votes = labels(np.random.default_rng(0).integers(0, 3, 20_000), (0.9, 0.8, 0.7, 0.6, 0.9), 3, 1)
    return {
        "20 systems, 20,000 votes, 1,000 resamples": timed(lambda: bt.fit(names, votes)),
        "the same, items drawn": timed(lambda: bt.fit(names, grouped)),
        "the same, length control": timed(lambda: bt.fit(names, long, length_control=True)),
        "agreement, 20,000 items x 5 annotators": timed(lambda: agreement(ballot_votes)),
    }


def coverage(simulations: int) -> dict[str, float]:
    """Share of true scores inside their 95 % interval, and of true orders found."""
    true = (1.2, 0.6, 0.0, -0.5, -1.3)
    names = ("a", "b", "c", "d", "e")
    centred = np.array(true) - np.mean(true)
    inside = hits = 0
    for seed in range(simulations):
        fit = bt.fit(names, ballot(true, 900, [SimulatedAnnotator()] * 3, seed), seed=seed)
        ends = {line.system: (line.low, line.high) for line in fit.lines}
        inside += sum(
            low <= 1000 + bt.SCALE * value <= high
            for (low, high), value in zip((ends[name] for name in names), centred, strict=True)
        )
        hits += tuple(line.system for line in fit.lines) == names
    return {"inside the interval": inside / simulations / len(names), "true order": hits / simulations}


def power(simulations: int) -> dict[str, dict[str, float]]:
    """How often as many votes as are said to be needed tell two systems apart (80 % is meant)."""
    results = {}
    for gap in (0.2, 0.3, 0.5, 0.8):
        count = bt.votes_needed(gap, float(np.log(0.5))) or 0
        hits = 0
        for seed in range(simulations):
            fit = bt.fit(("a", "b"), ballot((gap, 0.0), count, [SimulatedAnnotator(tie=0.5)], seed), seed=seed)
            hits += bt.compare_systems(fit, 0, 1)[1] > 0
        results[f"{bt.SCALE * gap:.0f} points"] = {"votes": count, "told apart": hits / simulations}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--simulations", type=int, default=400)
    options = parser.parse_args()
    results = {"seconds": speed(), "coverage": coverage(options.simulations), "power": power(options.simulations)}
    print(json.dumps(results, indent=2))
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
