"""Span corruption: dropped spans are written by the decoder, each behind its sentinel."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError
from genai_lab.settings import check_settings, setting
from genai_lab.training.examples import EncodedExample, TextExample, TokenFeatures
from genai_lab.training.objective import EncodingContext
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import Architecture
from genai_lab.training.token_objective import TextBlockObjective, blocks, end_of


@dataclass(frozen=True)
class Settings:
    noise_density: float = setting(
        0.15, "Share of the tokens that are dropped.", 0.01, 0.9, step=0.01, label="Share dropped",
        renamed_from=("rate",),
    )  # fmt: skip
    mean_span_length: float = setting(
        3.0, "Of a dropped span.", 1.0, 50.0, step=0.5, unit="tokens", renamed_from=("span",)
    )

    def __post_init__(self) -> None:
        check_settings(self)


class SpanCorruption(TextBlockObjective):
    name = "span_corruption"
    title = "Span corruption"
    about = "Continued pre-training of an encoder-decoder: spans are dropped, and the decoder writes them."
    source = "Raffel et al., 2020: Exploring the limits of transfer learning (T5), section 3.1.4"
    architectures: tuple[Architecture, ...] = ("encoder-decoder",)
    settings = Settings
    keeps_special_tokens = True

    def encode(self, texts: Iterable[TextExample], context: EncodingContext) -> list[EncodedExample]:
        if not sentinels(context.tokenizer):
            raise LabError("The tokenizer has no sentinel tokens (<extra_id_0> and on); choose a model of the T5 kind.")
        return blocks(texts, context.tokenizer, max(4, context.training.max_length - 1))

    def features(self, example: EncodedExample, context: EncodingContext, rng: random.Random) -> TokenFeatures:
        marks, end = sentinels(context.tokenizer), end_of(context.tokenizer)
        dropped = _spans(len(example.ids), rng, context.settings, len(marks))
        ids: list[int] = []
        labels: list[int] = []
        changed: list[int] = []
        position = 0
        for mark, (first, size) in zip(marks, dropped, strict=False):
            changed.append(first - position + len(ids))
            ids += [*example.ids[position:first], mark]
            labels += [mark, *example.ids[first : first + size]]
            position = first + size
        return TokenFeatures(ids + example.ids[position:] + end, labels + end, tuple(changed))


def sentinels(tokenizer: Any) -> list[int]:
    """Ids of the tokens that stand for spans, in order: T5's <extra_id_0> and on, or the starter's own."""
    for name in ("<extra_id_{}>", "<|gap_{}|>"):
        ids: list[int] = []
        while len(ids) < 100:
            token = tokenizer.convert_tokens_to_ids(name.format(len(ids)))
            if token is None or token == tokenizer.unk_token_id:
                break
            ids.append(int(token))
        if ids:
            return ids
    return []


def _spans(size: int, rng: random.Random, settings: Settings, most: int) -> list[tuple[int, int]]:
    """(first, length) of the dropped spans, in order, with at least one token between two of them."""
    dropped = min(max(1, round(size * settings.noise_density)), max(1, size - 1))
    count = max(1, min(round(dropped / settings.mean_span_length), most, dropped, size - dropped))
    lengths, gaps = _partition(dropped, count, rng), _partition(size - dropped, count, rng)
    spans, position = [], 0
    for gap, length in zip(gaps, lengths, strict=True):
        spans.append((position + gap, length))
        position += gap + length
    return spans


def _partition(total: int, count: int, rng: random.Random) -> list[int]:
    """`total` as `count` positive parts, each way equally likely."""
    cuts = sorted(rng.sample(range(1, total), count - 1)) if total > count - 1 else list(range(1, count))
    return [end - start for start, end in zip([0, *cuts], [*cuts, total], strict=True)]


OBJECTIVES.register("span_corruption")(SpanCorruption())
