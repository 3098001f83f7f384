"""Metrics against the libraries that define them: the same values, and how fast.

`python -m benchmarks.metrics --out FILE`. Pairs are the first 50 words of a dialogue as its summary (DialogSum's
training part where ../shared/data is there, else the starter's dialogues). Both sides run in turn in one process, on
one core; figures are medians of processor time, which other programs on the machine disturb less than the clock.
ROUGE is measured twice: with no stem known yet, and as a second system on the same references finds it. `--all` checks
equality on every pair that can be formed of ../shared/data/summarization, which takes many minutes in rouge_score.
"""

import argparse
import gzip
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from genai_lab.config import PROJECT
from genai_lab.metrics import METRICS
from genai_lab.metrics.rouge import _stem
from genai_lab.starter.tasks import TASKS

DATA = PROJECT.parent / "shared" / "data" / "summarization"
PAIRS, ROUNDS, AIM, CLOSE = 2000, 7, 10.0, 1e-9
KINDS = ("rouge1", "rouge2", "rougeL")
ENDINGS = {"precision": "_precision", "recall": "_recall", "fmeasure": ""}
Pair = tuple[str, list[str]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--all", action="store_true", help="equality on all pairs of ../shared")
    options = parser.parse_args()
    pairs = [(" ".join(text.split()[:50]), [summary]) for text, summary in dialogues(options.pairs)]
    speed = rouge_speed(pairs, options.rounds)
    words_per_side = (
        statistics.mean(len(prediction.split()) + len(reference[0].split()) for prediction, reference in pairs) / 2
    )
    print(
        f"{len(pairs):,} pairs of {words_per_side:.0f} words a side, ROUGE-1/2/L with stems, medians of "
        f"{options.rounds} rounds"
    )
    for name, rate in speed["pairs_per_second"].items():
        print(f"{name:36} {rate:10,.0f} pairs/s")
    for name, ratio in speed["ratio"].items():
        print(f"ratio, {name:29} {ratio:9.1f}x (aim {AIM:g}x)")
    checked = list(every_pair()) if options.all else pairs[:200] + several(20)
    equal = {f"stem {word}": furthest(checked, stem) for stem, word in ((True, "yes"), (False, "no"))}
    for name, away in equal.items():
        print(f"ROUGE-1/2/L/Lsum, {len(checked):,} pairs, {name}: furthest from rouge_score {away:.1e} (aim {CLOSE:g})")
    corpus = {name: sacre(name, pairs) for name in ("bleu", "chrf")}
    for name, results in corpus.items():
        values = f"{results['ours']:.6f}, sacreBLEU {results['theirs']:.6f}"
        print(f"{name}: {values}, {results['seconds']:.2f} s; {results['signature']}")
    if options.out:
        results = {"rouge": speed, "checked": len(checked), "furthest": equal, "corpus": corpus}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def rouge_speed(pairs: list[Pair], rounds: int) -> dict[str, Any]:
    """Both sides by turns; rouge_score keeps nothing between texts, so it has one figure."""
    from rouge_score import rouge_scorer

    metric = METRICS.get("rouge")
    settings = metric.settings(use_stemmer=True, lsum=False)
    predictions, references = [pair for pair, _ in pairs], [pair for _, pair in pairs]
    metric.rows(predictions[:10], references[:10], settings)
    scorer = rouge_scorer.RougeScorer(list(KINDS), use_stemmer=True)
    times: dict[str, list[float]] = {"rouge_score": [], "ours, no stem known": [], "ours, a second system": []}
    for _ in range(rounds):
        _stem.cache_clear()
        times["ours, no stem known"].append(_processor(lambda: metric.rows(predictions, references, settings)))
        times["ours, a second system"].append(_processor(lambda: metric.rows(predictions, references, settings)))
        times["rouge_score"].append(_processor(lambda: [scorer.score_multi(many, pair) for pair, many in pairs]))
    rates = {name: len(pairs) / statistics.median(time) for name, time in times.items()}
    ratio = {name: rate / rates["rouge_score"] for name, rate in rates.items() if name != "rouge_score"}
    return {"pairs": len(pairs), "pairs_per_second": rates, "ratio": ratio, "seconds": times, "aim": AIM}


def furthest(pairs: list[Pair], stem: bool) -> float:
    """The largest distance of any precision, recall or F1 from rouge_score's."""
    from rouge_score import rouge_scorer

    metric, kinds = METRICS.get("rouge"), [*KINDS, "rougeLsum"]
    ours = metric.rows(
        [pair for pair, _ in pairs], [pair for _, pair in pairs], metric.settings(use_stemmer=stem)
    ).samples
    scorer = rouge_scorer.RougeScorer(kinds, use_stemmer=stem)
    away = 0.0
    for index, (prediction, reference) in enumerate(pairs):
        theirs = scorer.score_multi(reference, prediction)
        for kind in kinds:
            for part, ending in ENDINGS.items():
                away = max(away, abs(float(ours[kind + ending].parts[index]) - getattr(theirs[kind], part)))
    return away


def sacre(name: str, pairs: list[Pair]) -> dict[str, Any]:
    from sacrebleu.metrics import BLEU, CHRF

    metric = METRICS.get(name)
    predictions, references = [pair for pair, _ in pairs], [pair for _, pair in pairs]
    started = time.process_time()
    results = metric.rows(predictions, references, metric.settings())
    sample = results.samples[name]
    assert sample.combine is not None
    ours = float(sample.combine(sample.parts.sum(axis=0)[None])[0])
    seconds = time.process_time() - started
    theirs = {"bleu": BLEU, "chrf": CHRF}[name]().corpus_score(predictions, [[item[0] for item in references]]).score
    return {"ours": ours, "theirs": theirs, "seconds": seconds, "signature": results.signature}


def dialogues(count: int) -> list[tuple[str, str]]:
    """Dialogues with their summaries."""
    if DATA.is_dir():
        return [(row["dialogue"], row["summary"]) for row in _rows("dialogsum_train")][:count]
    task, rng = TASKS.get("summary"), random.Random(5)
    return [(item.source, item.references[0]) for item in (task.draw(rng, "test") for _ in range(count))]


def several(count: int) -> list[Pair]:
    """Long summaries of many lines against three others of the same story."""
    if not DATA.is_dir():
        return []
    return [
        (item[0][:1500], [text[:1500] for text in item[1:]]) for item in (r["summaries"] for r in _rows("squality_dev"))
    ][:count]


def every_pair() -> Iterator[Pair]:
    """Documents and other rows' summaries against summaries; one of four human summaries against the rest."""
    for name in ("dialogsum_dev", "dialogsum_train", "samsum_sample"):
        rows = _rows(name)
        for index, row in enumerate(rows):
            yield row["dialogue"], [row["summary"]]
            yield rows[index - 1]["summary"], [row["summary"]]
    for name in ("cnn_dailymail_sample", "xsum_sample"):
        for row in _rows(name):
            yield row["document"], [row["summary"]]
    for name in ("squality_dev", "squality_train"):
        for row in _rows(name):
            yield row["summaries"][0], row["summaries"][1:]


def _rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _processor(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    sys.exit(main())
