"""Completions: what is drawn, and that reading them alone and in a batch is the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genai_lab.alignment.divergence import k1
from genai_lab.alignment.records import RolloutBatch, read_all, rollout_path
from genai_lab.alignment.rollouts import Completion, Sampling, generator, network_of, sample
from genai_lab.training import Architecture
from genai_lab.training.generation import generate_greedily
from genai_lab.training.loading import ends_of, load_module, load_tokenizer, start_of
from genai_lab.training.policy_reading import PolicyReader, as_matrix, kl_at_tokens, mask_of
from tests.alignment.policies import TRAINING
from tests.training.models import context_for, tiny

KINDS: dict[Architecture, str] = {"decoder-only": "llama", "encoder-decoder": "t5"}
PROMPTS = ["Say red and cat:", "Say blue:", "no", "one two three four"]


@pytest.fixture(scope="module", params=list(KINDS))
def parts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(module, tokenizer, what texts are encoded for, ids of PROMPTS)."""
    folder = tiny(tmp_path_factory.mktemp("base") / "base", KINDS[request.param])
    module, tokenizer = load_module(folder, request.param).eval(), load_tokenizer(folder)
    with torch.no_grad():  # so that what is drawn depends on the prompt
        for weight in module.parameters():
            weight.mul_(4)
    context = context_for(tokenizer, request.param, TRAINING, "grpo")
    ids = [tokenizer(text)["input_ids"] for text in PROMPTS]
    return module, tokenizer, context, ids


def drawn(parts: Any, places: list[int], **settings: Any) -> list[Completion]:
    module, tokenizer, _, ids = parts
    sampling = Sampling(**{"max_new_tokens": 9, **settings})
    generators = [generator(5, 2, place) for place in places]
    ends = ends_of(module, tokenizer)
    return sample(
        network_of(module), [ids[place] for place in places], generators, sampling, ends, start_of(module.config)
    )


def test_a_completion_depends_on_its_own_generator_alone(parts: Any) -> None:
    together = drawn(parts, [0, 1, 2, 3])
    for place in range(4):
        (alone,) = drawn(parts, [place])
        assert alone.ids == together[place].ids
        assert alone.log_probs == pytest.approx(together[place].log_probs, abs=1e-5)
    backwards = drawn(parts, [3, 2, 1, 0])
    assert [one.ids for one in backwards] == [one.ids for one in together[::-1]]
    assert len({tuple(one.ids) for one in together}) > 1


def test_the_most_probable_completion_is_that_of_generate(parts: Any) -> None:
    module, tokenizer, context, ids = parts
    ours = [
        tokenizer.decode(one.ids, skip_special_tokens=True).strip() for one in drawn(parts, [0, 1, 2, 3], greedy=True)
    ]
    assert ours == generate_greedily(module, tokenizer, context.architecture, ids, 9, one_at_a_time=True)


def test_the_end_is_drawn_as_any_token_and_a_cut_completion_has_none(parts: Any) -> None:
    module, tokenizer, _, ids = parts
    ends = ends_of(module, tokenizer)
    rows = [0, 1, 2, 3] * 20
    completions = sample(
        network_of(module), [ids[row] for row in rows], [generator(1, 1, n) for n in range(len(rows))],
        Sampling(40, temperature=3.0), ends, start_of(module.config),
    )  # fmt: skip
    assert {one.ended for one in completions} == {True, False}
    for one in completions:
        assert len(one.ids) == len(one.log_probs)
        assert one.ended == (one.ids[-1] in ends)
        assert not any(token in ends for token in one.ids[:-1])
        assert one.ended or len(one.ids) == 40


def test_log_probabilities_are_those_of_the_training_forward_alone_and_in_a_batch(parts: Any) -> None:
    module, _, context, ids = parts
    completions = drawn(parts, [0, 1, 2, 3])
    reader = PolicyReader(context, 1.0)
    together = reader.read(module, ids, [one.ids for one in completions]).log_probs()
    alone = torch.cat([reader.read(module, [ids[n]], [one.ids]).log_probs() for n, one in enumerate(completions)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    engine = torch.tensor([value for one in completions for value in one.log_probs])
    torch.testing.assert_close(together, engine, atol=1e-4, rtol=0)


def test_a_temperature_holds_for_drawing_and_reading(parts: Any) -> None:
    module, _, context, ids = parts
    completions = drawn(parts, [0, 1, 2, 3], temperature=2.0)
    read = PolicyReader(context, 2.0).read(module, ids, [one.ids for one in completions]).log_probs()
    engine = torch.tensor([value for one in completions for value in one.log_probs])
    torch.testing.assert_close(read, engine, atol=1e-4, rtol=0)


def test_masks_come_from_lengths_so_that_the_pad_token_counts_where_it_was_written(parts: Any) -> None:
    module, _, context, ids = parts
    completions = [[context.pad, 30, context.pad], [31]]
    reading = PolicyReader(context, 1.0).read(module, ids[:2], completions)
    assert reading.ids.tolist() == [context.pad, 30, context.pad, 31]
    mask = mask_of([3, 1], "cpu")
    assert as_matrix(reading.log_probs(), mask)[1].tolist()[1:] == [0, 0]


def test_the_sampled_kl_is_the_exact_one_on_average(parts: Any) -> None:
    module, tokenizer, context, ids = parts
    import copy

    torch.manual_seed(0)
    reference = copy.deepcopy(module)
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    rows = [n % 4 for n in range(400)]
    completions = sample(
        network_of(module), [ids[row] for row in rows], [generator(9, 1, n) for n in range(len(rows))],
        Sampling(6), ends_of(module, tokenizer), start_of(module.config),
    )  # fmt: skip
    reader, prompts = PolicyReader(context, 1.0), [ids[row] for row in rows]
    with torch.no_grad():
        mine, theirs = (reader.read(one, prompts, [c.ids for c in completions]) for one in (module, reference))
    mask = mask_of([len(one.ids) for one in completions], "cpu")
    sampled = as_matrix(k1(mine.log_probs(), theirs.log_probs()), mask).sum(-1)
    exact = as_matrix(kl_at_tokens(mine.logits, theirs.logits), mask).sum(-1)
    difference = sampled - exact
    assert float(exact.mean()) > 0.01
    assert abs(float(difference.mean())) < 3 * float(difference.std()) / len(rows) ** 0.5


def test_rollouts_are_read_as_they_were_written(tmp_path: Path) -> None:
    batch = RolloutBatch(
        7, 3, ("a", "b\n", "ü"), ("x", "", "z z"), ([1, 2], [3], [4, 5, 6]), ([7], [8, 9], [10]),
        np.array([True, False, True]), np.array([4, 4, 9]), np.array([0.5, -1.0, 2.0]), np.arange(6.0).reshape(3, 2),
        ("length", "reward model x"), {"kl": np.array([0.5, 1.0, 2.0, 4.0], dtype=np.float32)},
    )  # fmt: skip
    batch.write(rollout_path(tmp_path, 7))
    (read,) = read_all(tmp_path)
    for name in ("step", "seed", "prompts", "texts", "prompt_ids", "ids", "labels"):
        assert getattr(read, name) == getattr(batch, name)
    for name in ("ended", "rows", "scores", "parts"):
        assert getattr(read, name).tolist() == getattr(batch, name).tolist()
    assert read.kl.tolist() == [0.5, 3.0, 4.0]
    assert read.tokens_of("kl", 1).tolist() == [1.0, 2.0]
    assert not list(tmp_path.glob("*.tmp*"))
