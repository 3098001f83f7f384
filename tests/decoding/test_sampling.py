"""A shortlist changes how fast tokens are drawn, and nothing else."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genai_lab.decoding import Sampling, Token, logits_processors
from genai_lab.decoding.sampling import next_tokens

CHOSEN = [
    Sampling(temperature=0.7, top_k=5),
    Sampling(temperature=1.0, top_k=50, top_p=0.8),
    Sampling(temperature=1.3, top_k=20, min_p=0.05, repetition_penalty=1.4),
    Sampling(temperature=0.9, top_k=64, typical_p=0.7, no_repeat_ngram_size=2),
]


def sample_tokens(logits: torch.Tensor, samplings: list[Sampling]) -> list[Token]:
    rows: list[Any] = [
        SimpleNamespace(
            sampling=item, context=[3, 9, 4, 3], trace=4 + index % 2, uniform=lambda p=index: (p + 0.5) / 40
        )
        for index, item in enumerate(samplings)
    ]
    return next_tokens(rows, logits, str)


def compare(result: list[Token], expected: list[Token]) -> None:
    for actual, other in zip(result, expected, strict=True):
        assert (actual.id, actual.text) == (other.id, other.text)
        assert actual.probability == pytest.approx(other.probability)
        assert [(s.filter, s.ids, s.texts, s.removed) for s in actual.stages] == [
            (s.filter, s.ids, s.texts, s.removed) for s in other.stages
        ]
        for mine, full_stage in zip(actual.stages, other.stages, strict=True):
            assert mine.probabilities == pytest.approx(full_stage.probabilities, abs=1e-6)


def test_a_shortlist_gives_the_tokens_and_the_trace_of_the_whole_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(40, 2000, generator=torch.Generator().manual_seed(5)) * 4
    samplings = CHOSEN * 10
    assert logits_processors.topk_prefilter(logits, samplings) is not None
    short = sample_tokens(logits, samplings)
    # One row that keeps all tokens makes the whole batch do without the list.
    mixed = sample_tokens(torch.cat([logits, logits[:1]]), [*samplings, Sampling(temperature=1.0)])
    monkeypatch.setattr(logits_processors, "WORTH_IT", 10**9)
    full = sample_tokens(logits, samplings)
    compare(short, full)
    compare(mixed[:-1], full)


def test_ties_with_the_kth_token_are_not_cut_off() -> None:
    logits = torch.zeros(16, 2000)
    assert logits_processors.topk_prefilter(logits, [Sampling(temperature=1.0, top_k=5)] * 16) is None


@pytest.mark.parametrize("width", [40, 2000])
def test_a_row_alone_draws_what_it_draws_among_others(width: int) -> None:
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(60, width, generator=generator) * 3
    logits[1::5] = logits[1::5].round()  # equal logits, as top-k meets them
    kinds: list[dict[str, Any]] = [{}, {"top_k": 5}, {"top_p": 0.7}, {"top_k": 50, "top_p": 0.9}, {"greedy": True}]
    samplings = [Sampling(temperature=0.3 + n % 7 / 3, **kinds[n % 5]) for n in range(len(logits))]

    def row(position: int) -> Any:
        return SimpleNamespace(sampling=samplings[position], context=[], trace=0, uniform=lambda: (position + 0.5) / 60)

    rows = [row(index) for index in range(len(logits))]
    together = next_tokens(rows, logits, str)
    alone = [next_tokens([row], logits[index : index + 1], str)[0] for index, row in enumerate(rows)]
    assert [item.id for item in alone] == [item.id for item in together]
    for actual, other in zip(alone, together, strict=True):
        assert actual.probability == pytest.approx(other.probability, abs=1e-6)
        assert actual.logprob == pytest.approx(other.logprob, abs=1e-5)
