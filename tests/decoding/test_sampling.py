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


def drawn(logits: torch.Tensor, chosen: list[Sampling]) -> list[Token]:
    rows: list[Any] = [
        SimpleNamespace(sampling=one, context=[3, 9, 4, 3], trace=4 + place % 2, uniform=lambda p=place: (p + 0.5) / 40)
        for place, one in enumerate(chosen)
    ]
    return next_tokens(rows, logits, str)


def compare(found: list[Token], expected: list[Token]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one.id, one.text) == (other.id, other.text)
        assert one.probability == pytest.approx(other.probability)
        assert [(s.filter, s.ids, s.texts, s.removed) for s in one.stages] == [
            (s.filter, s.ids, s.texts, s.removed) for s in other.stages
        ]
        for mine, whole in zip(one.stages, other.stages, strict=True):
            assert mine.probabilities == pytest.approx(whole.probabilities, abs=1e-6)


def test_a_shortlist_gives_the_tokens_and_the_trace_of_the_whole_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(40, 2000, generator=torch.Generator().manual_seed(5)) * 4
    chosen = CHOSEN * 10
    assert logits_processors.topk_prefilter(logits, chosen) is not None
    short = drawn(logits, chosen)
    # One row that keeps all tokens makes the whole batch do without the list.
    mixed = drawn(torch.cat([logits, logits[:1]]), [*chosen, Sampling(temperature=1.0)])
    monkeypatch.setattr(logits_processors, "WORTH_IT", 10**9)
    whole = drawn(logits, chosen)
    compare(short, whole)
    compare(mixed[:-1], whole)


def test_ties_with_the_kth_token_are_not_cut_off() -> None:
    logits = torch.zeros(16, 2000)
    assert logits_processors.topk_prefilter(logits, [Sampling(temperature=1.0, top_k=5)] * 16) is None


@pytest.mark.parametrize("width", [40, 2000])
def test_a_row_alone_draws_what_it_draws_among_others(width: int) -> None:
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(60, width, generator=generator) * 3
    logits[1::5] = logits[1::5].round()  # equal logits, as top-k meets them
    kinds: list[dict[str, Any]] = [{}, {"top_k": 5}, {"top_p": 0.7}, {"top_k": 50, "top_p": 0.9}, {"greedy": True}]
    chosen = [Sampling(temperature=0.3 + n % 7 / 3, **kinds[n % 5]) for n in range(len(logits))]

    def row(place: int) -> Any:
        return SimpleNamespace(sampling=chosen[place], context=[], trace=0, uniform=lambda: (place + 0.5) / 60)

    rows = [row(place) for place in range(len(logits))]
    together = next_tokens(rows, logits, str)
    alone = [next_tokens([one], logits[place : place + 1], str)[0] for place, one in enumerate(rows)]
    assert [one.id for one in alone] == [one.id for one in together]
    for one, other in zip(alone, together, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-6)
        assert one.logprob == pytest.approx(other.logprob, abs=1e-5)
