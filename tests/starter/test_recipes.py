"""Recipes: a build goes on where it stopped; the shipped tokenizers lose nothing; the shipped models do their work."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from genai_lab.errors import UnknownName
from genai_lab.starter import tokenizer as tokenizers
from genai_lab.starter import training
from genai_lab.starter.build import NAMES, build
from genai_lab.starter.figures import mean, proportion
from genai_lab.starter.recipes import RECIPES, seq2seq
from genai_lab.starter.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "genai_lab" / "starter" / "weights"
NASTY = (
    "",
    " ",
    "  two  spaces , and a comma .",
    "tab\tand\r\nnew line\n\n",
    "naïve café, Ç’est la vie ! — «déjà»",
    "日本語 العربية עברית ไทย",
    "👩🏽‍🚀🏳️‍🌈 zero\u200bwidth \ufeff \u202e",
    "a\u0301 is not á",
    "\x00\x01\x7f",
    "<|pad|><|start|> <|end|>\n<|user|>x<|assistant|> <|gap_0|><|mask|> </s><unk>",
    "Hello , world ! I 'm n't don 't",
)


def shipped(name: str) -> Path:
    folder = WEIGHTS / name
    if not (folder / "model.safetensors").exists():
        pytest.skip(f"{name} has not been built; run `make starter`")
    return folder


def tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shipped(name))


def saved(folder: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


class Stopped(Exception):
    pass


def test_an_interrupted_build_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    full_text = tokenizers.training_text
    monkeypatch.setattr(tokenizers, "training_text", lambda seed: full_text(seed, 60))
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    small: dict[str, Any] = {"scale": 0.012, "seed": 5}
    straight = build("starter-toxicity", tmp_path / "straight", tmp_path / "a", **small)

    def stop(text: str) -> None:
        if " 4/" in text:
            raise Stopped

    with pytest.raises(Stopped):
        build("starter-toxicity", tmp_path / "resumed", tmp_path / "b", progress=stop, **small)
    messages: list[str] = []
    resumed = build("starter-toxicity", tmp_path / "resumed", tmp_path / "b", progress=messages.append, **small)

    assert "min left" in messages[0]
    assert " 4/" in messages[0]
    first, second = saved(straight), saved(resumed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    losses = [
        [row.get("loss") for row in json.loads((f / "build.json").read_text())["log"]] for f in (straight, resumed)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", [pytest.param("starter-causal", marks=pytest.mark.full), "starter-seq2seq"])
def test_generating_recipes_go_on_where_they_stopped(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step of each phase, without the long evaluation at the end; stopped in the second, the first being saved."""
    import torch

    full_text = tokenizers.training_text
    monkeypatch.setattr(tokenizers, "training_text", lambda seed: full_text(seed, 60))
    monkeypatch.setattr(training, "_evaluated", lambda *_: {})
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    recipe = RECIPES.get(name)
    coder = recipe.tokenizer(0)
    small: dict[str, Any] = {"seed": 5, "scale": 1e-4, "progress": None}
    straight = training.train(recipe, coder, tmp_path / "straight", **small).state_dict()

    result, whole_step = [], training._step

    def stopped(*supplied: Any) -> Any:
        result.append(supplied)
        if len(result) == 2:
            raise Stopped
        return whole_step(*supplied)

    monkeypatch.setattr(training, "_step", stopped)
    with pytest.raises(Stopped):
        training.train(recipe, coder, tmp_path / "stopped", **small)
    assert torch.load(tmp_path / "stopped" / "checkpoint.pt", weights_only=True)["step"] == 1
    resumed = training.train(recipe, coder, tmp_path / "stopped", **small).state_dict()
    assert len(result) == 2 + len(recipe.phases(coder, 0, 1e-4)) - 1
    assert all(torch.equal(straight[key], resumed[key]) for key in straight)


def test_corrupted_spans_give_the_text_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder's text put into the gaps of the encoder's text is a solved example of the training split."""
    full_text = tokenizers.training_text
    monkeypatch.setattr(tokenizers, "training_text", lambda seed: full_text(seed, 60))
    coder = tokenizers.build_tokenizer("seq2seq", 0)
    pairs, gaps = seq2seq.Pairs(coder, 0), set(coder.convert_tokens_to_ids(list(tokenizers.SENTINELS)))
    hidden = total = 0
    for seed in range(100):
        source, target = pairs._corruption(random.Random(seed))
        rng = random.Random(seed)
        example = TASKS.get(rng.choice(list(seq2seq.MIXTURE))).draw(rng, "train")
        assert source.pop() == target.pop() == coder.eos_token_id
        spans: dict[int, list[int]] = {}
        for token in target:
            if token in gaps:
                spans[token] = []
            else:
                spans[next(reversed(spans))].append(token)
        assert [token for token in source if token in gaps] == list(spans)
        full = [code for token in source for code in spans.get(token, [token])]
        assert coder.decode(full) == f"{example.source} {example.references[0]}"
        hidden += sum(map(len, spans.values()))
        total += len(full)
    assert 0.08 < hidden / total < 0.2


def test_a_model_that_is_not_known() -> None:
    with pytest.raises(UnknownName):
        RECIPES.get("starter-video")


@pytest.mark.parametrize("name", NAMES)
def test_every_string_comes_back(name: str) -> None:
    coder = tokenizer(name)
    shared = ROOT / "../shared/corpora/blns.json"
    strings = [*NASTY, *(json.loads(shared.read_text(encoding="utf-8")) if shared.exists() else ())]
    changed = [text for text in strings if coder.decode(coder.encode(text, add_special_tokens=False)) != text]
    assert changed == []
    assert coder.unk_token is None


def test_every_byte_has_a_code() -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    existing = tokenizer("starter-causal").get_vocab()
    assert set(ByteLevel.alphabet()) <= existing.keys()


def test_chat_template_speaks_as_in_training() -> None:
    turns = [{"role": "user", "content": "Where is the park?"}]
    text = tokenizer("starter-causal").apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == "<|start|><|user|>Where is the park?<|assistant|>"


@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_load_and_are_small(name: str) -> None:
    from transformers import AutoConfig

    folder = shipped(name)
    assert (folder / "model.safetensors").stat().st_size < 20e6
    assert (folder / "README.md").exists()
    config = AutoConfig.from_pretrained(folder)
    assert config.vocab_size == len(tokenizer(name))
    assert getattr(config, "n_positions", config.max_position_embeddings if name != "starter-seq2seq" else 1024) >= 514


def test_shots_carry_information() -> None:
    from transformers import AutoModelForCausalLM

    from genai_lab.starter.recipes.causal import shots_hits

    folder = shipped("starter-causal")
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True).eval()
    assert model.config.max_position_embeddings >= 1024
    hits = {k: shots_hits(model, tokenizer("starter-causal"), k, 32, seed=3) for k in (0, 4)}
    none, four = (proportion("", hits[k]) for k in (0, 4))
    assert four.value >= 0.9
    assert four.apart_from(none)


def test_seq2seq_translates_a_held_out_sentence() -> None:
    from transformers import AutoModelForSeq2SeqLM

    from genai_lab.starter.recipes.seq2seq import completions, draw_examples

    model = AutoModelForSeq2SeqLM.from_pretrained(shipped("starter-seq2seq"), use_safetensors=True).eval()
    examples = draw_examples("translation", "test", 16, seed=3)
    result = completions(model, tokenizer("starter-seq2seq"), [example.prompt for example in examples])
    assert sum(text == e.references[0] for text, e in zip(result, examples, strict=True)) >= 6


def test_toxicity_tells_insults_from_civil_replies() -> None:
    from sklearn.metrics import roc_auc_score
    from transformers import AutoModelForSequenceClassification

    from genai_lab.starter.recipes.toxicity import held_out_scores

    model = AutoModelForSequenceClassification.from_pretrained(shipped("starter-toxicity"), use_safetensors=True).eval()
    assert model.config.id2label == {0: "polite", 1: "toxic"}
    scores, truth = held_out_scores(model, tokenizer("starter-toxicity"), "test", 200, seed=3)
    assert roc_auc_score(truth, scores) >= 0.97


def test_intervals_of_figures() -> None:
    sure = proportion("sure", [True] * 30)
    assert sure.high == 1.0
    assert sure.low == pytest.approx(0.8865, abs=1e-3)
    half = mean("half", [0.0, 1.0] * 50)
    assert half.low < half.value < half.high  # type: ignore[operator]
    assert half == mean("half", [0.0, 1.0] * 50)
    assert sure.apart_from(half)
    assert not half.apart_from(half)
