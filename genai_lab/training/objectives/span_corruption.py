"""Span corruption: dropped spans are written by the decoder, each behind its sentinel."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError
from genai_lab.settings import check_settings, setting
from genai_lab.training import Architecture, Training
from genai_lab.training.objectives import OBJECTIVES, Drawn, Head, Item, Text, blocks, end_of


@dataclass(frozen=True)
class Settings:
    rate: float = setting(0.15, "Share of the tokens that are dropped.", 0.01, 0.9, step=0.01)
    span: float = setting(3.0, "Mean length of a dropped span.", 1.0, 50.0, step=0.5, unit="tokens")

    def __post_init__(self) -> None:
        check_settings(self)


class Spans:
    name = "span_corruption"
    title = "Span corruption"
    about = "Continued pre-training of an encoder-decoder: spans are dropped, and the decoder writes them."
    source = "Raffel et al., 2020: Exploring the limits of transfer learning (T5), section 3.1.4"
    architectures: tuple[Architecture, ...] = ("encoder-decoder",)
    needs = "text"
    head: Head = "lm"
    settings = Settings

    def items(
        self,
        texts: Iterable[Text],
        tokenizer: Any,
        architecture: Architecture,
        training: Training,
        labels: Sequence[str],
    ) -> list[Item]:
        if not sentinels(tokenizer):
            raise LabError("The tokenizer has no sentinel tokens (<extra_id_0> and on); choose a model of the T5 kind.")
        return blocks(texts, tokenizer, max(4, training.max_length - 1))

    def draw(self, item: Item, tokenizer: Any, architecture: Architecture, rng: random.Random, settings: Any) -> Drawn:
        marks, end = sentinels(tokenizer), end_of(tokenizer)
        dropped = _spans(len(item.ids), rng, settings, len(marks))
        ids: list[int] = []
        labels: list[int] = []
        changed: list[int] = []
        place = 0
        for mark, (first, size) in zip(marks, dropped, strict=False):
            changed.append(first - place + len(ids))
            ids += [*item.ids[place:first], mark]
            labels += [mark, *item.ids[first : first + size]]
            place = first + size
        return Drawn(ids + item.ids[place:] + end, labels + end, tuple(changed))


def sentinels(tokenizer: Any) -> list[int]:
    """Ids of the tokens that stand for spans, in order: T5's <extra_id_0> and on, or the starter's own."""
    for name in ("<extra_id_{}>", "<|gap_{}|>"):
        found: list[int] = []
        while len(found) < 100:
            token = tokenizer.convert_tokens_to_ids(name.format(len(found)))
            if token is None or token == tokenizer.unk_token_id:
                break
            found.append(int(token))
        if found:
            return found
    return []


def _spans(size: int, rng: random.Random, settings: Settings, most: int) -> list[tuple[int, int]]:
    """(first, length) of the dropped spans, in order, with something kept between two of them."""
    dropped = min(max(1, round(size * settings.rate)), max(1, size - 1))
    count = max(1, min(round(dropped / settings.span), most, dropped, size - dropped))
    lengths, gaps = _parts(dropped, count, rng), _parts(size - dropped, count, rng)
    found, place = [], 0
    for gap, length in zip(gaps, lengths, strict=True):
        found.append((place + gap, length))
        place += gap + length
    return found


def _parts(total: int, count: int, rng: random.Random) -> list[int]:
    """`total` as `count` positive parts, all ways equally likely."""
    cuts = sorted(rng.sample(range(1, total), count - 1)) if total > count - 1 else list(range(1, count))
    return [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]


OBJECTIVES.register("span_corruption")(Spans())
