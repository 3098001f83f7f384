"""Do the intervals cover the truth, and are the tests' false alarms as rare as they say? And how fast are they?

`python -m benchmarks.statistics --out FILE`. Every case draws 2,000 samples from a population whose figure is known:
binary scores, skewed ones, real ROUGE scores and corpus metrics of DialogSum's development part (its summaries against
the first words of their dialogues) where ../shared/data is there, else of the starter's summaries. Coverage of a 95 %
interval is to lie between 93 and 97 %; with 2,000 samples its own standard error is 0.5 points.
"""

import argparse
import gzip
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genai_lab.config import PROJECT
from genai_lab.evaluation.figures import figure_of
from genai_lab.evaluation.statistics import Bounds, compare, interval
from genai_lab.metrics import METRICS, Array, Sample
from genai_lab.starter.tasks import TASKS

SIMULATIONS, RESAMPLES, AIM = 2000, 1000, (0.93, 0.97)
SHARE: Bounds = (0.0, 1.0)
LABELS = np.array([0.35, 0.25, 0.2, 0.1, 0.07, 0.03])


@dataclass(frozen=True)
class Case:
    """`draw(rng, n)` is a sample of n rows; `truth` the population's figure."""

    name: str
    n: int
    truth: float
    draw: Callable[[np.random.Generator, int], Sample]
    bounds: Bounds = (None, None)


@dataclass(frozen=True)
class Covered:
    """Shares of simulations; `above` is how often the truth lies above the interval."""

    name: str
    n: int
    covered: float
    above: float
    below: float
    width: float

    @property
    def good(self) -> bool:
        return AIM[0] <= self.covered <= AIM[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args()
    covered = []
    print(f"95 % intervals, {options.simulations:,} simulations, {RESAMPLES:,} resamples")
    print(f"{'case':44}{'n':>6}{'covered':>9}{'truth above':>13}{'truth below':>13}{'width':>9}")
    for case in cases():
        if options.only in case.name:
            entry = coverage(case, options.simulations)
            covered.append(entry)
            shares = f"{entry.covered:9.1%}{entry.above:13.1%}{entry.below:13.1%}"
            print(
                f"{entry.name:44}{entry.n:>6}{shares}{entry.width:9.4f}{'' if entry.good else '  outside'}", flush=True
            )
    alarms = list(false_alarms(options.simulations, options.only))
    speed = seconds()
    for name, result in speed.items():
        print(f"{name:60} {result:7.3f} s (aim below 1)")
    if options.out:
        result = {"simulations": options.simulations, "coverage": [asdict(item) for item in covered]}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({**result, "false_alarms": alarms, "seconds": speed}, indent=1) + "\n")
    return 0


def coverage(case: Case, simulations: int) -> Covered:
    rng = np.random.default_rng(1)
    above = below = 0
    widths = []
    for seed in range(simulations):
        result = interval(case.draw(rng, case.n), bounds=case.bounds, seed=seed, resamples=RESAMPLES)
        low, high = result.low or 0.0, result.high or 0.0
        above += case.truth > high
        below += case.truth < low
        widths.append(high - low)
    shares = above / simulations, below / simulations
    return Covered(case.name, case.n, 1 - sum(shares), *shares, statistics.median(widths))


def cases() -> Iterator[Case]:
    for share in (0.5, 0.8, 0.9, 0.97):
        for n in (200, 1000):
            yield Case(f"proportion {share:g} (Wilson)", n, share, _proportion(share), SHARE)
    for n in (200,):
        yield Case("bell-shaped", n, 0.0, lambda rng, n: Sample(rng.normal(size=n)))
        yield Case("skewed, exponential", n, 1.0, lambda rng, n: Sample(rng.exponential(size=n)))
        yield Case("skewed, log-normal (sigma 1)", n, float(np.exp(0.5)), lambda rng, n: Sample(rng.lognormal(size=n)))
        yield Case("skewed, beta(0.3, 3)", n, 1 / 11, lambda rng, n: Sample(rng.beta(0.3, 3, n)), SHARE)
    yield Case("skewed, beta(8, 0.5): near the top", 200, 16 / 17, lambda rng, n: Sample(rng.beta(8, 0.5, n)), SHARE)
    yield Case("nine in ten rows 0, others even", 200, 0.05, _rare(0.1), SHARE)
    yield Case("97 in 100 rows 0, others even", 200, 0.015, _rare(0.03), SHARE)
    yield Case("97 in 100 rows 0, others even", 1000, 0.015, _rare(0.03), SHARE)
    predictions, references = pairs()
    rouge = METRICS.get("rouge").rows(predictions, references, METRICS.get("rouge").settings()).samples
    for name in ("rouge1", "rouge2", "rougeL"):
        values = rouge[name].parts
        yield Case(f"real {name} scores", 200, float(values.mean()), _from(rouge[name]), SHARE)
    for metric, figure in (("bleu", "bleu"), ("chrf", "chrf"), ("length_ratio", "ratio")):
        member = METRICS.get(metric)
        sample = member.rows(predictions, references, member.settings()).samples[figure]
        ends = figure_of(metric, figure)
        for n in (200, 500):
            yield Case(f"{metric} of real pairs", n, _whole(sample), _from(sample), (ends.low, ends.high))
    labels = _classified(4000)
    for n in (200, 1000):
        yield Case("macro F1, six labels, one of them 3 %", n, _whole(labels), _from(labels), SHARE)
    first, second = rouge["rouge1"].parts, rouge["rouge2"].parts
    gain = Sample(first - 2 * second)
    yield Case("difference of paired real scores", 200, float(gain.parts.mean()), _from(gain), (-1.0, 1.0))
    yield Case("difference of paired binary scores", 200, 0.05, _paired(0.15, 0.1), (-1.0, 1.0))


def false_alarms(simulations: int, only: str) -> Iterator[dict[str, Any]]:
    """How often two equal systems are called different at 5 %."""
    rng = np.random.default_rng(2)
    sampled: dict[str, Callable[[], tuple[Array, Array]]] = {
        "equal systems, binary scores": lambda: tuple(rng.random((2, 200)) < 0.7),  # type: ignore[dict-item,return-value]
        "equal systems, skewed scores": lambda: tuple(rng.beta(0.3, 3, (2, 200))),  # type: ignore[dict-item,return-value]
    }
    for name, draw in sampled.items():
        if only in name:
            result = []
            for seed in range(simulations):
                a, b = draw()
                result.append(compare(Sample(a.astype(float)), Sample(b.astype(float)), bounds=SHARE, seed=seed))
            bootstrap = sum(item.p_bootstrap < 0.05 for item in result) / simulations
            shuffled = sum(item.p_randomisation < 0.05 for item in result) / simulations
            missed = sum(not item.low <= 0 <= item.high for item in result) / simulations
            print(f"{name:44} p below 0.05: bootstrap {bootstrap:.1%}, randomisation {shuffled:.1%}; no 0 {missed:.1%}")
            yield {"name": name, "bootstrap": bootstrap, "randomisation": shuffled, "interval": missed}


def seconds(rows: int = 2000, resamples: int = RESAMPLES, rounds: int = 5) -> dict[str, float]:
    """Medians for 2,000 rows and 1,000 resamples."""
    rng = np.random.default_rng(3)
    a, b = Sample(rng.beta(0.3, 3, rows)), Sample(rng.beta(0.3, 3, rows))
    texts, references = pairs()
    times = -(-rows // len(texts))
    texts, references = (texts * times)[:rows], (references * times)[:rows]
    bleu = METRICS.get("bleu").rows(texts, references, METRICS.get("bleu").settings()).samples["bleu"]
    work: dict[str, Callable[[], object]] = {
        f"interval of a mean, {rows:,} rows x {resamples:,} resamples": lambda: interval(a, resamples=resamples),
        "paired bootstrap and randomisation of a mean": lambda: compare(a, b, resamples=resamples),
        "interval of BLEU": lambda: interval(bleu, resamples=resamples),
        "paired bootstrap and randomisation of BLEU": lambda: compare(bleu, bleu, resamples=resamples),
    }
    return {name: statistics.median(_timed(item) for _ in range(rounds)) for name, item in work.items()}


def pairs() -> tuple[list[str], list[list[str]]]:
    """The first 40 words of a dialogue as its summary: a system as poor as any."""
    data = PROJECT.parent / "shared" / "data" / "summarization" / "dialogsum_dev.jsonl.gz"
    if data.is_file():
        with gzip.open(data, "rt", encoding="utf-8") as lines:
            rows = [(row["dialogue"], row["summary"]) for row in map(json.loads, lines)]
    else:
        task, rng = TASKS.get("summary"), random.Random(5)
        rows = [(item.source, item.references[0]) for item in (task.draw(rng, "test") for _ in range(500))]
    return [" ".join(text.split()[:40]) for text, _ in rows], [[summary] for _, summary in rows]


def _proportion(share: float) -> Callable[[np.random.Generator, int], Sample]:
    return lambda rng, n: Sample((rng.random(n) < share).astype(float), proportion=True)


def _rare(share: float) -> Callable[[np.random.Generator, int], Sample]:
    return lambda rng, n: Sample(np.where(rng.random(n) < share, rng.random(n), 0.0))


def _paired(wins: float, losses: float) -> Callable[[np.random.Generator, int], Sample]:
    return lambda rng, n: Sample(rng.choice([1.0, -1.0, 0.0], n, p=[wins, losses, 1 - wins - losses]))


def _from(population: Sample) -> Callable[[np.random.Generator, int], Sample]:
    rows = population.parts
    return lambda rng, n: Sample(rows[rng.integers(0, len(rows), n)], population.combine)


def _whole(population: Sample) -> float:
    assert population.combine is not None
    return float(population.combine(population.parts.sum(axis=0)[None])[0])


def _classified(n: int) -> Sample:
    """Labels of a classifier that is right four times in five."""
    rng = np.random.default_rng(4)
    expected = rng.choice(len(LABELS), n, p=LABELS)
    result = np.where(rng.random(n) < 0.8, expected, rng.choice(len(LABELS), n, p=LABELS))
    member = METRICS.get("classification")
    names = [f"label {number}" for number in range(len(LABELS))]
    results = member.rows([names[item] for item in result], [[names[item]] for item in expected], member.settings())
    return results.samples["macro_f1"]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
