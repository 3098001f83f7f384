"""What the shipped starter models can do, on held-out data, with 95 % intervals.

`python -m benchmarks.starter --out FILE [--models NAME ...] [--weights FOLDER] [--count N] [--no-cards]`. Prints a
table a model, writes `evaluation.json` next to its weights and the table into its card. Greedy unless it says
otherwise; every draw has a seed that training and its evaluations do not use.
"""

import argparse
import gzip
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_lab.starter.build import NAMES
from genai_lab.starter.figures import MeasuredFigure, area, mean, proportion, rows, table
from genai_lab.starter.tasks import TASKS, Example, Split

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "genai_lab" / "starter" / "weights"
SHARED = ROOT / "../shared"
SEED = 2026
RETRIEVED_FROM = 5000
MANY_SHOTS = 36
TEMPERATURES = (0.2, 0.7, 1.2)
MARKS = ("<!-- figures: written by benchmarks/starter.py -->", "<!-- end of figures -->")


@dataclass(frozen=True)
class Measured:
    figures: list[MeasuredFigure]
    texts: str = ""


def load(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForSeq2SeqLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    torch.set_flush_denormal(True)
    heads = {"llama": AutoModelForCausalLM, "t5": AutoModelForSeq2SeqLM, "roberta": AutoModelForSequenceClassification}
    head = heads[json.loads((folder / "config.json").read_text())["model_type"]]
    model = head.from_pretrained(folder, use_safetensors=True, trust_remote_code=False).eval()
    return model, AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def draw(task: str, split: Split, count: int) -> list[Example]:
    rng = random.Random(f"benchmark {task} {split} {SEED}")
    return [TASKS.get(task).draw(rng, split) for _ in range(count)]


def lines(path: Path) -> list[dict[str, Any]]:
    """Rows of a compressed JSON lines file; none where the file is absent."""
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def tokenizer_figures(tokenizer: Any) -> list[MeasuredFigure]:
    """Round trips of difficult strings, and tokens a word on real dialogues; nothing without the shared data."""
    result = []
    nasty = SHARED / "corpora" / "blns.json"
    if nasty.exists():
        texts = json.loads(nasty.read_text(encoding="utf-8"))
        stored = [tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text for text in texts]
        result.append(proportion("tokenizer: strings that come back unchanged", stored, "blns.json"))
    dialogues = [row["dialogue"] for row in lines(SHARED / "data" / "summarization" / "dialogsum_dev.jsonl.gz")]
    if dialogues:
        sizes = [len(tokenizer.encode(text, add_special_tokens=False)) / len(text.split()) for text in dialogues]
        result.append(mean("tokenizer: tokens a word", sizes, "DialogSum, development part"))
    return result


# starter-causal


def measure_causal(model: Any, tokenizer: Any, count: int) -> Measured:
    from genai_lab.starter.recipes.causal import shots_hits
    from genai_lab.starter.tasks.sentiment import HELD_OUT_PAIRS

    def exact(name: str, shots: int, note: str = "", **options: Any) -> MeasuredFigure:
        return proportion(
            name.replace("1 shots", "1 shot"), shots_hits(model, tokenizer, shots, count, SEED + shots, **options), note
        )

    figures = [exact(f"sentiment, {k} shots", k, "label pair drawn per prompt") for k in (0, 1, 2, 4, 8)]
    figures.append(_long_prompts(model, tokenizer, max(1, count // 6)))
    named = {"name_labels": True}
    figures += [exact(f"the same, labels named, {k} shots", k, "copying alone: 0.5", **named) for k in (0, 1, 4)]
    figures += [exact(f"the same, directions swapped, {k} shots", k, swapped=True) for k in (1, 4, 8)]
    figures += [exact(f"the same, held-out label words, {k} shots", k, pairs=HELD_OUT_PAIRS) for k in (0, 4)]
    figures += [_story_loss(model, tokenizer, count), *_distinct(model, tokenizer), *tokenizer_figures(tokenizer)]
    return Measured(figures, _ten_stories(model, tokenizer))


def _long_prompts(model: Any, tokenizer: Any, count: int) -> MeasuredFigure:
    """Exact match where solved reviews fill most of the context; the note tells the largest prompt."""
    from genai_lab.starter.recipes.causal import shots_hits
    from genai_lab.starter.tasks.sentiment import few_shot_document

    seed = SEED + MANY_SHOTS
    rng = random.Random(f"shots {seed}")
    prompts = [few_shot_document(rng, "test", MANY_SHOTS).prompt for _ in range(count)]
    longest = max(len(tokenizer(prompt)["input_ids"]) for prompt in prompts)
    hits = shots_hits(model, tokenizer, MANY_SHOTS, count, seed)
    return proportion(f"sentiment, {MANY_SHOTS} shots", hits, f"prompts of up to {longest:,} tokens")


def _story_loss(model: Any, tokenizer: Any, count: int) -> MeasuredFigure:
    """Mean loss a token of held-out stories, in nats, the opening left out."""
    import torch

    losses = []
    for example in draw("story", "test", count):
        opening = tokenizer(example.source)["input_ids"]
        ids = torch.tensor([opening + tokenizer(f" {example.references[0]}", add_special_tokens=False)["input_ids"]])
        labels = ids.clone()
        labels[:, : len(opening)] = -100
        with torch.inference_mode():
            losses.append(float(model(input_ids=ids, labels=labels).loss))
    return mean("loss a token of held-out stories", losses, "nats")


def sampled_stories(
    model: Any, tokenizer: Any, openings: Sequence[str], temperature: float, seed: int, size: int = 110
) -> list[str]:
    """One continuation an opening, all in one batch, drawn from the whole distribution."""
    import torch

    torch.manual_seed(seed)
    coded = tokenizer(list(openings), padding=True, padding_side="left", return_tensors="pt")
    with torch.inference_mode():
        result = model.generate(
            input_ids=coded["input_ids"],
            attention_mask=coded["attention_mask"],
            do_sample=True,
            temperature=temperature,
            top_k=0,
            top_p=1.0,
            max_new_tokens=size,
            pad_token_id=tokenizer.pad_token_id,
        )
    return tokenizer.batch_decode(result[:, coded["input_ids"].shape[1] :], skip_special_tokens=True)


def distinct_2(texts: Sequence[str]) -> float:
    """Different word pairs over all word pairs (Li et al., 2016, section 5.1)."""
    pairs = [pair for text in texts for pair in zip(text.split(), text.split()[1:], strict=False)]
    return len(set(pairs)) / max(1, len(pairs))


def _distinct(model: Any, tokenizer: Any, openings: int = 16, each: int = 6) -> list[MeasuredFigure]:
    """Of six continuations of one opening, at three temperatures; the mean over openings."""
    figures = []
    sources = [example.source for example in draw("story", "test", openings)]
    for temperature in TEMPERATURES:
        texts = sampled_stories(model, tokenizer, [s for s in sources for _ in range(each)], temperature, SEED)
        values = [distinct_2(texts[i * each : (i + 1) * each]) for i in range(openings)]
        figures.append(mean(f"distinct-2 at temperature {temperature}", values, f"{each} continuations an opening"))
    return figures


def _ten_stories(model: Any, tokenizer: Any, seed: int = 7) -> str:
    openings = [example.source for example in draw("story", "test", 10)]
    stories = sampled_stories(model, tokenizer, openings, 0.7, seed)
    report = [f"{i}. **{a}** {b.strip()}" for i, (a, b) in enumerate(zip(openings, stories, strict=True), 1)]
    head = f"Ten continuations of held-out openings (bold), temperature 0.7, seed {seed}, unselected:"
    return "\n".join([head, "", *report])


# starter-seq2seq


def measure_seq2seq(model: Any, tokenizer: Any, count: int) -> Measured:
    from genai_lab.starter.recipes.seq2seq import completions

    def solve(task: str) -> tuple[list[Example], list[str]]:
        examples = draw(task, "test", count)
        return examples, completions(model, tokenizer, [example.prompt for example in examples])

    examples, result = solve("summary")
    figures = _summary_figures(examples, result)
    displayed = [_shown_pair("summary", examples[i], result[i]) for i in range(3)]
    examples, result = solve("translation")
    figures += [*_bleu_and_chrf(examples, result), proportion("translation: exact", _exact(examples, result))]
    displayed += [_shown_pair("translation", examples[i], result[i]) for i in range(3)]
    examples, result = solve("sentiment")
    figures.append(proportion("sentiment by instruction: exact", _exact(examples, result)))
    examples, result = solve("qa")
    figures.append(
        proportion("question answering, left out of training: exact", _exact(examples, result), "poor, meant")
    )
    scored = [max(rouge_l(text, e.references)) for text, e in zip(result, examples, strict=True)]
    figures.append(mean("question answering, left out of training: ROUGE-L", scored, "poor, meant"))
    displayed += [_shown_pair("question answering", examples[i], result[i]) for i in range(2)]
    head = "The first held-out cases of three tasks, unselected:"
    return Measured(figures + tokenizer_figures(tokenizer), "\n\n".join([head, *displayed]))


def _summary_figures(examples: list[Example], result: list[str]) -> list[MeasuredFigure]:
    sources = {"model": result, "lead sentence": [lead(e.source) for e in examples], "nearest": nearest(examples)}
    best, average = {}, {}
    for name, texts in sources.items():
        scored = [rouge_l(text, e.references) for text, e in zip(texts, examples, strict=True)]
        best[name] = [max(values) for values in scored]
        average[name] = [sum(values) / len(values) for values in scored]
    retrieved = f"summary of the closest of {RETRIEVED_FROM:,} training dialogues"
    figures = [
        mean("summary: ROUGE-L F1", best["model"], "best of three references, mean over dialogues; stemmed"),
        mean("summary: ROUGE-L F1, mean of references", average["model"], "mean of three references"),
        mean("baseline: lead sentence", best["lead sentence"], "first line past a greeting, best of three references"),
        mean("baseline: nearest neighbour", best["nearest"], f"{retrieved}, best of three references"),
    ]
    for name in ("lead sentence", "nearest"):
        better = [a - b for a, b in zip(best["model"], best[name], strict=True)]
        figures.append(mean(f"summary: model less {name}", better, "dialogue by dialogue"))
    return [*figures, proportion("summary: equal to a reference", _exact(examples, result))]


def rouge_l(text: str, references: Sequence[str]) -> list[float]:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    return [scorer.score(reference, text)["rougeL"].fmeasure for reference in references]


def lead(dialogue: str) -> str:
    """The first line, or the third where that is longer: the first may be a greeting, which is easier to beat."""
    spoken = [line.partition(": ")[2] for line in dialogue.split("\n")]
    return max(spoken[0], spoken[2] if len(spoken) > 4 else "", key=lambda line: len(line.split()))


def nearest(examples: list[Example]) -> list[str]:
    """For each dialogue the summary of the training dialogue with the closest words (tf-idf, cosine)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    existing = draw("summary", "train", RETRIEVED_FROM)
    vectors = TfidfVectorizer(ngram_range=(1, 2))
    library = vectors.fit_transform([e.source for e in existing])
    close = vectors.transform([e.source for e in examples]) @ library.T
    return [existing[int(row.argmax())].references[0] for row in close.toarray()]


def _bleu_and_chrf(examples: list[Example], result: list[str]) -> list[MeasuredFigure]:
    """Corpus figures with the interval of 1,000 resamples; the note is sacreBLEU's own signature."""
    from sacrebleu.metrics import BLEU, CHRF

    references = [[example.references[0] for example in examples]]
    figures = []
    for name, metric in (("translation: sacreBLEU", BLEU()), ("translation: chrF", CHRF())):
        score = metric.corpus_score(result, references, n_bootstrap=1000)
        middle, half = float(score._mean), float(score._ci)
        # The card's table is split at bars.
        signature = str(metric.get_signature()).replace("|", " ")
        figures.append(
            MeasuredFigure(name, float(score.score), middle - half, min(100.0, middle + half), len(result), signature)
        )
    return figures


def _exact(examples: list[Example], result: list[str]) -> list[bool]:
    return [text.strip() in example.references for text, example in zip(result, examples, strict=True)]


def _shown_pair(task: str, example: Example, text: str) -> str:
    return f"*{task}*\n```text\n{example.source}\n=> {text}\nreference: {example.references[0]}\n```"


# starter-toxicity


def measure_toxicity(model: Any, tokenizer: Any, count: int) -> Measured:
    from genai_lab.starter.recipes.toxicity import toxic_probabilities

    replies = draw("reply", "test", 4 * count)
    truth = [example.labels["toxic"] == "yes" for example in replies]
    scores = toxic_probabilities(model, tokenizer, [example.references[0] for example in replies])
    figures = [
        area("held-out replies: AUC", truth, scores),
        proportion("held-out replies: accuracy at 0.5", [(s > 0.5) == t for s, t in zip(scores, truth, strict=True)]),
    ]
    for name, label in (("davidson_train", _davidson), ("surge_toxicity_train", _surge)):
        figures += _out_of_domain(model, tokenizer, name, label)
    return Measured(figures + tokenizer_figures(tokenizer))


def _davidson(row: dict[str, Any]) -> bool:
    return row["label"] != "neither"


def _surge(row: dict[str, Any]) -> bool:
    return row["label"] == "toxic"


def _out_of_domain(
    model: Any, tokenizer: Any, name: str, label: Callable[[dict[str, Any]], bool]
) -> list[MeasuredFigure]:
    from genai_lab.starter.recipes.toxicity import toxic_probabilities

    existing = lines(SHARED / "data" / "toxicity" / f"{name}.jsonl.gz")
    if not existing:
        print(f"{name}: left out, {SHARED.name}/data/toxicity/{name}.jsonl.gz is not there")
        return []
    # Texts of like length side by side, so that little is padded.
    existing.sort(key=lambda row: len(row["text"]))
    truth = [label(row) for row in existing]
    scores = toxic_probabilities(model, tokenizer, [row["text"] for row in existing])
    note = "out of domain, all rows as they are"
    hits = [(score > 0.5) == expected for score, expected in zip(scores, truth, strict=True)]
    return [area(f"{name}: AUC", truth, scores, note), proportion(f"{name}: accuracy at 0.5", hits, note)]


MEASURES: dict[str, Callable[[Any, Any, int], Measured]] = {
    "starter-causal": measure_causal,
    "starter-seq2seq": measure_seq2seq,
    "starter-toxicity": measure_toxicity,
}


def write_card(folder: Path, parameters: int, measured: Measured) -> None:
    """Puts build, table and texts between the marks of the card; a card without marks stays as it is."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    if any(mark not in text for mark in MARKS):
        return
    before, remainder = text.split(MARKS[0], 1)
    after = remainder.split(MARKS[1], 1)[1]
    parts = (built(folder, parameters), table(measured.figures), measured.texts)
    body = "\n\n".join(part for part in parts if part)
    card.write_text(f"{before}{MARKS[0]}\n\n{body}\n\n{MARKS[1]}{after}", encoding="utf-8")


def built(folder: Path, parameters: int) -> str:
    """How long the build took, from what it wrote itself."""
    build = json.loads((folder / "build.json").read_text())
    minutes = f"{build['seconds'] / 60:.0f} minutes on 2 CPU cores that other work shared"
    size = (folder / "model.safetensors").stat().st_size / 1e6
    return (
        f"{parameters / 1e6:.2f} million parameters, {size:.1f} MB. Seed {build['seed']}, {build['steps']:,} steps, "
        f"{minutes}, built on {build['date']}; `build.json` holds the losses and the figures on the way."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON with the figures of all models")
    parser.add_argument("--models", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder with one folder a model")
    parser.add_argument("--count", type=int, default=300, help="held-out cases a figure (default 300)")
    parser.add_argument("--no-cards", action="store_true", help="leave cards and evaluation.json as they are")
    options = parser.parse_args()
    results = {}
    for name in options.models:
        folder = options.weights / name
        model, tokenizer = load(folder)
        measured = MEASURES[name](model, tokenizer, options.count)
        print(f"\n{name}\n\n{table(measured.figures)}\n\n{measured.texts}", flush=True)
        results[name] = rows(measured.figures)
        if not options.no_cards:
            (folder / "evaluation.json").write_text(json.dumps(results[name], indent=1, ensure_ascii=False) + "\n")
            write_card(folder, model.num_parameters(), measured)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
