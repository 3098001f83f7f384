"""What every metric promises, whatever it measures."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest

from genai_lab.errors import LabError
from genai_lab.metrics import METRICS, Figure, measure, settings_of
from genai_lab.models.scorer import LogProbability

PREDICTIONS = ["The cat sat on the mat.", "a dog barks", "", "une pomme rouge", "up up up up", "the end of the story"]
REFERENCES = [
    ["The cat sat on a mat."],
    ["a dog barked", "the dog barks"],
    ["quiet"],
    ["une pomme"],
    ["down"],
    ["the end"],
]
NAUGHTY = [
    "",
    " ",
    "\n\n",
    "\x00",
    "🙂‍↔️ 𝔘𝔫𝔦",
    "مرحبا بالعالم",
    "田中さんに",
    "ﬁ İ ſ",
    "\ud800",
    "a\u0301\u200b",
    "%s {0} ${x}",
    "x" * 3000,
]
BEST = {"rouge", "exact_match", "token_f1", "classification", "bleu", "chrf"} | {
    "pass_at_k",
    "best_of_k",
    "self_consistency",
}


class FakeJudge:
    """A model whose numbers follow from the text alone."""

    hash = "0123456789abcdef"
    reads_input = False

    def scores(self, texts: Sequence[str], label: str = "") -> list[float | None]:
        return [len(text) % 10 / 10 for text in texts]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[len(text) % 7, len(text.split()), 1.0] for text in texts], dtype=np.float32)

    def bert_scores(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        return np.array([[len(text) % 10 / 10] * 3 for text in texts])

    signature = bert_score_signature = "model:fake|hash:0123456789ab"

    def log_probabilities(self, texts: Sequence[str]) -> list[LogProbability]:
        return [LogProbability(-1.5 * len(text.split()), len(text.split())) for text in texts]


def measured(name, predictions=PREDICTIONS, references=REFERENCES, **options):
    return measure(name, predictions, references, model=FakeJudge(), resamples=50, **options)


def figure(name: str, figure_name: str) -> Figure:
    return next(item for item in METRICS.get(name).figures if item.name == figure_name)


@pytest.fixture(params=sorted(METRICS))
def name(request):
    return request.param


def test_metric_tells_what_it_is(name):
    metric = METRICS.get(name)
    assert metric.name == name
    assert metric.title
    assert metric.about.endswith(".")
    assert metric.citation
    assert metric.needs in ("references", "labels", "text", "model")
    assert metric.figures
    for field in dataclasses.fields(metric.settings):
        assert field.metadata.get("help"), field.name


def test_figures_lie_in_their_range_and_in_their_intervals(name):
    result = measured(name)
    assert result.signature
    for figure_name, measure_of in result.figures.items():
        ends = figure(name, figure_name)
        values = [measure_of.low, measure_of.value, measure_of.high]
        assert values == sorted(values)
        assert measure_of.low < measure_of.high
        assert ends.low is None or measure_of.low >= ends.low
        assert ends.high is None or measure_of.high <= ends.high + 1e-9
        assert 0 < measure_of.n <= len(PREDICTIONS)
        assert len(measure_of.sample.values) == len(PREDICTIONS)


def test_order_of_rows_does_not_matter(name):
    order = [3, 0, 5, 1, 4, 2]
    straight = measured(name)
    mixed = measured(name, [PREDICTIONS[i] for i in order], [REFERENCES[i] for i in order])
    for figure_name, measure_of in straight.figures.items():
        assert mixed.figures[figure_name].value == pytest.approx(measure_of.value, abs=1e-12)
        assert mixed.figures[figure_name].sample.values == [measure_of.sample.values[i] for i in order]


def test_a_row_alone_has_the_value_it_has_among_others(name):
    if name == "classification":
        pytest.skip("a label's F1 depends on which labels there are")
    together = measured(name)
    for index, (prediction, references) in enumerate(zip(PREDICTIONS, REFERENCES, strict=True)):
        alone = measured(name, [prediction], [references])
        for figure_name, measure_of in alone.figures.items():
            assert measure_of.sample.values[0] == pytest.approx(
                together.figures[figure_name].sample.values[index], abs=1e-12
            )


def test_same_seed_same_interval(name):
    first, second = measured(name, seed=3), measured(name, seed=3)
    assert [(figure_name.low, figure_name.high) for figure_name in first.figures.values()] == [
        (figure_name.low, figure_name.high) for figure_name in second.figures.values()
    ]


def test_strange_texts_are_measured(name):
    result = measured(name, NAUGHTY, [[text, "other"] for text in NAUGHTY])
    for measure_of in result.figures.values():
        assert all(value is None or math.isfinite(value) for value in measure_of.sample.values)


def test_the_reference_itself_is_the_best_prediction(name):
    if name not in BEST:
        pytest.skip("not a likeness to the reference")
    texts = ["one two three four five six", "seven eight nine ten eleven"]
    for figure_name, measure_of in measured(name, texts, [[text] for text in texts]).figures.items():
        assert measure_of.value == pytest.approx(figure(name, figure_name).high)
        assert measure_of.low < measure_of.value


def test_mismatched_lengths_missing_references_and_no_rows_are_one_sentence(name):
    with pytest.raises(LabError, match="no predictions"):
        measured(name, [], [])
    if METRICS.get(name).needs in ("references", "labels"):
        with pytest.raises(LabError, match="2 predictions but 1 references"):
            measured(name, ["a", "b"], [["a"]])
        with pytest.raises(LabError, match="Row 2 has no reference"):
            measured(name, ["a", "b"], [["a"], []])


def test_a_metric_that_asks_a_model_says_which(name):
    if METRICS.get(name).needs != "model":
        pytest.skip("asks no model")
    with pytest.raises(LabError, match=r"starter-|of the catalogue"):
        measure(name, ["a"], [["b"]])


def test_unknown_and_bad_settings_are_refused():
    assert settings_of("rouge", {"use_stemmer": False}).use_stemmer is False
    with pytest.raises(LabError, match="no setting 'stemmer'"):
        settings_of("rouge", {"stemmer": True})
    with pytest.raises(LabError):
        settings_of("rouge", {"use_stemmer": "perhaps"})
    with pytest.raises(LabError, match="char"):
        settings_of("bleu", {"tokenize": "mine"})
    with pytest.raises(LabError, match="from 1 to 5"):
        settings_of("diversity", {"n": 9})


def test_every_metric_is_a_metric_of_the_evaluate_library(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import evaluate

    from genai_lab.metrics.hub_form import evaluate_metric

    metric = evaluate_metric(name, model=FakeJudge())
    assert isinstance(metric, evaluate.Metric)
    result = metric.compute(predictions=PREDICTIONS, references=REFERENCES)
    direct = measure(name, PREDICTIONS, REFERENCES, model=FakeJudge())
    assert result["signature"] == direct.signature
    for figure_name, value in direct.figures.items():
        assert result[figure_name] == pytest.approx(value.value)
        assert result[f"{figure_name}_low"] == pytest.approx(value.low)


def test_undefined_rows_are_left_out_and_counted():
    result = measured("diversity", ["one", "one two one two"], [[], []])
    assert result.figures["distinct"].n == 1
    assert result.figures["distinct"].sample.values[0] is None
    assert np.isclose(result.figures["distinct"].value, 2 / 3)
