"""Perplexity and toxicity on real modules, against transformers' own loss."""

import math

import pytest

from genai_lab.errors import LabError
from genai_lab.metrics import METRICS, measure
from genai_lab.models import Card, Options, Source
from genai_lab.models.starter import WEIGHTS
from genai_lab.models.text_scorer import TextScorer
from tests.tiny import random_model

TEXTS = ["Once upon a time there was a small model.", "a time", "", "x", "there was a small, small time upon a model"]


def card(folder, name="tiny") -> Card:
    from genai_lab.models import BACKENDS

    return BACKENDS.get("local").inspect(Source("local", str(folder)), name, Options(roots=(folder.parent,)))


def test_perplexity_is_the_exponent_of_the_loss_of_all_tokens(tmp_path):
    judge = TextScorer(card(random_model(tmp_path / "tiny")))
    measured = measure("perplexity", TEXTS, [[]] * len(TEXTS), model=judge)
    total, tokens = 0.0, 0
    for text in TEXTS:
        ids = judge._tokenizer(text, return_tensors="pt")["input_ids"].long()
        if ids.shape[1] > 1:
            loss = float(judge._module(input_ids=ids, labels=ids).loss.detach())
            total, tokens = total + loss * (ids.shape[1] - 1), tokens + ids.shape[1] - 1
    assert measured.figures["perplexity"].value == pytest.approx(math.exp(total / tokens), rel=1e-4)
    assert measured.figures["perplexity"].sample.values[2] is None
    assert "of:predictions|alone|weighted by tokens" in measured.signature


def test_perplexity_of_references(tmp_path):
    judge = TextScorer(card(random_model(tmp_path / "tiny")))
    settings = METRICS.get("perplexity").settings(of="references")
    same = measure("perplexity", ["other"] * 2, [[TEXTS[0]], [TEXTS[1]]], settings, model=judge)
    direct = measure("perplexity", TEXTS[:2], [[], []], model=judge)
    assert same.figures["perplexity"].value == pytest.approx(direct.figures["perplexity"].value)
    with pytest.raises(LabError, match="needs a reference"):
        measure("perplexity", ["a"], [[]], settings, model=judge)


def test_an_encoder_decoder_judges_a_text_given_its_input():
    folder = WEIGHTS / "starter-seq2seq"
    if not folder.is_dir():
        pytest.skip("the starter's weights are not here")
    judge = TextScorer(card(folder, "starter-seq2seq"))
    with pytest.raises(LabError, match="reads an input"):
        judge.log_probabilities(["a"])
    sources, texts = (
        ["translate English to French: The cat sleeps.", "summarize: A: Hi. B: Bye."],
        ["Le chat dort.", "Hi."],
    )
    for source, text, actual in zip(sources, texts, judge.log_probabilities(texts, sources), strict=True):
        read = judge._tokenizer(source, return_tensors="pt")["input_ids"]
        ids = judge._tokenizer(text, return_tensors="pt")["input_ids"]
        loss = float(judge._module(input_ids=read, labels=ids).loss.detach())
        assert actual.tokens == ids.shape[1]
        assert actual.total == pytest.approx(-loss * actual.tokens, rel=1e-3)


def test_a_model_of_the_wrong_family_is_one_sentence(tmp_path):
    judge = TextScorer(card(random_model(tmp_path / "tiny")))
    with pytest.raises(LabError, match="is not a classifier"):
        measure("toxicity", ["a"], [[]], model=judge)


def test_the_shipped_classifier_tells_rude_from_friendly():
    folder = WEIGHTS / "starter-toxicity"
    if not folder.is_dir():
        pytest.skip("the starter's weights are not here")
    judge = TextScorer(card(folder, "starter-toxicity"))
    measured = measure("toxicity", ["You are a stupid idiot.", "Thank you, that was kind."], [[], []], model=judge)
    rude, kind = measured.figures["toxicity"].sample.values
    assert rude > kind
    assert measured.figures["toxic_share"].n == 2
    with pytest.raises(LabError, match="has no label"):
        measure("toxicity", ["a"], [[]], METRICS.get("toxicity").settings(label="nothing"), model=judge)
