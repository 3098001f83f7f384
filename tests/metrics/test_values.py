"""Values against the libraries that define them, and against figures worked out by hand."""

import gzip
import json
import random
from pathlib import Path

import pytest

from genai_lab.metrics import METRICS, measure

SHARED = Path(__file__).resolve().parents[2] / "../shared/data/summarization"
KINDS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
PARTS = {"precision": "_precision", "recall": "_recall", "fmeasure": ""}


def same_as_rouge_score(predictions, references, stem):
    from rouge_score import rouge_scorer

    metric = METRICS.get("rouge")
    samples = metric.rows(predictions, references, metric.settings(use_stemmer=stem)).samples
    scorer = rouge_scorer.RougeScorer(KINDS, use_stemmer=stem)
    for index, (predicted, expected) in enumerate(zip(predictions, references, strict=True)):
        theirs = scorer.score_multi(expected, predicted)
        for kind in KINDS:
            for part, ending in PARTS.items():
                ours = samples[kind + ending].parts[index]
                assert ours == pytest.approx(getattr(theirs[kind], part), abs=1e-9), (kind, part, predicted, expected)


@pytest.mark.parametrize("stem", [True, False])
def test_rouge_equals_rouge_score_on_random_texts_of_several_lines_and_references(stem):
    rng = random.Random(1)
    vocabulary = [
        "running",
        "runs",
        "ran",
        "cat",
        "cats",
        "the",
        "İ",
        "naïve",
        "x-ray",
        "1,000",
        "don't",
        "happily",
        "happy",
        "!",
    ]

    def text():
        lines = [" ".join(rng.choices(vocabulary, k=rng.randrange(9))) for _ in range(rng.randrange(1, 5))]
        return "\n".join(lines)

    predictions = [text() for _ in range(150)]
    references = [[text() for _ in range(rng.randrange(1, 4))] for _ in predictions]
    same_as_rouge_score([*predictions, "", "a"], [*references, ["a", ""], [""]], stem)


def test_rouge_equals_rouge_score_on_real_summaries():
    if not SHARED.is_dir():
        pytest.skip("needs ../shared/data/summarization")
    with gzip.open(SHARED / "dialogsum_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][:60]
    with gzip.open(SHARED / "squality_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        long = [json.loads(line)["summaries"] for line in lines][:2]
    predictions = [row["dialogue"] for row in rows] + [item[0][:900] for item in long]
    references = [[row["summary"]] for row in rows] + [[text[:900] for text in item[1:]] for item in long]
    same_as_rouge_score(predictions, references, True)


def test_rows_beyond_one_chunk_and_no_shared_word():
    metric = METRICS.get("rouge")
    rows = metric.rows(["same words here"] * 5000, [["same words here"]] * 4999 + [["else"]], metric.settings())
    assert rows.samples["rouge2"].parts[:4999].min() == 1
    assert rows.samples["rouge1"].parts[4999] == 0


@pytest.mark.parametrize(("name", "figure"), [("bleu", "bleu"), ("chrf", "chrf")])
def test_corpus_figures_are_sacrebleus_own_with_its_signature(name, figure):
    from sacrebleu.metrics import BLEU, CHRF

    predictions = ["the cat sat on the mat today", "a dog barks at night", ""]
    references = [["the cat sat on a mat today", "a cat was on the mat"], ["the dog barks at night"], ["silence"]]
    scorer = {"bleu": BLEU, "chrf": CHRF}[name]()
    theirs = scorer.corpus_score(
        predictions,
        [["the cat sat on a mat today", "the dog barks at night", "silence"], ["a cat was on the mat", None, None]],
    )
    result = measure(name, predictions, references)
    assert result.figures[figure].value == pytest.approx(theirs.score, abs=1e-9)
    assert result.signature == str(scorer.get_signature())


@pytest.mark.parametrize("order", [0, 2])
def test_sums_of_rows_make_sacrebleus_figures(order):
    from sacrebleu.metrics import BLEU, CHRF

    rng = random.Random(4)
    vocabulary = ["a", "small", "cat", "sat", "on", "the", "old", "mat", "and", "slept"]
    texts = [" ".join(rng.choices(vocabulary, k=rng.randrange(12))) for _ in range(120)]
    expected = [[" ".join(rng.choices(vocabulary, k=rng.randrange(1, 12)))] for _ in texts]
    for name, scorer, settings in (
        ("bleu", BLEU(), METRICS.get("bleu").settings()),
        ("chrf", CHRF(word_order=order), METRICS.get("chrf").settings(word_order=order)),
    ):
        sample = METRICS.get(name).rows(texts, expected, settings).samples[name]
        for size in (1, 2, 5, 120):
            for start in range(0, 120, size):
                ours = sample.combine(sample.parts[start : start + size].sum(axis=0)[None])[0]
                streams = [[text[0] for text in expected[start : start + size]]]
                theirs = scorer.corpus_score(texts[start : start + size], streams).score
                assert ours == pytest.approx(theirs, abs=1e-9), (name, texts[start : start + size], streams)


def test_classification_equals_scikit_learn():
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

    rng = random.Random(2)
    labels = ["up", "down", "level"]
    expected = rng.choices(labels, k=80)
    predicted = [text if rng.random() < 0.6 else rng.choice([*labels, "no idea"]) for text in expected]
    result = measure("classification", [f" {text.upper()}\nmore" for text in predicted], [[text] for text in expected])
    assert result.figures["accuracy"].value == pytest.approx(accuracy_score(expected, predicted))
    assert result.figures["macro_f1"].value == pytest.approx(
        f1_score(expected, predicted, labels=labels, average="macro")
    )
    ordered = [row["label"] for row in result.detail["labels"]]
    matrix = confusion_matrix(expected, predicted, labels=[*ordered, "no idea"])[:3]
    assert result.detail["confusion"] == matrix.tolist()


def test_exact_match_token_f1_length_ratio_and_diversity_by_hand():
    assert measure("exact_match", ["  Yes ", "no"], [["yes"], ["not", "NO."]]).figures["exact_match"].value == 0.5
    result = measure("token_f1", ["the red cat", ""], [["a red dog", "cat"], [""]])
    assert result.figures["token_f1"].sample.values == [pytest.approx(2 / 3), 1.0]
    result = measure("length_ratio", ["a b c", "a"], [["a b", "a b c d"], ["a b"]])
    assert result.figures["ratio"].value == pytest.approx(4 / 4)
    result = measure("diversity", ["a b a b a"], [[]])
    assert result.figures["distinct"].value == pytest.approx(0.5)
    assert result.figures["repetition"].value == pytest.approx(0.5)
