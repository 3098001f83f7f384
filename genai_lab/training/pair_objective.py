"""What objectives on preference pairs share: reading votes, encoding both sides, and showing them."""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from genai_lab.models.reward_model import encode_prompt_and_completion, encode_text_pair
from genai_lab.models.scorer import PromptLike
from genai_lab.training.collating import collate_pairs
from genai_lab.training.examples import (
    IGNORED,
    EncodedExample,
    EncodedPair,
    PairFeatures,
    ShownRow,
    TextPair,
    TokenFeatures,
    TokenKind,
)
from genai_lab.training.objective import EncodingContext, FinishedRun, Objective, ReadingContext, RowsRead
from genai_lab.training.plan import Architecture, TrainingPlan
from genai_lab.training.preference_data import (
    MOST_ROWS,
    Vote,
    by_majority,
    check_pairs,
    divide_votes,
    sample_votes,
    votes_to_learn,
)
from genai_lab.training.row_source import RowSource
from genai_lab.training.token_objective import pad_tokens

Row = TypeVar("Row")
EncodeSide = Callable[[Any, Any, str, int], EncodedExample]


class PairObjective(Objective):
    """Learns which of two completions was preferred."""

    text_type = TextPair
    example_type = EncodedPair
    reads_chat = True
    needs_whole_weights = True
    sequences_per_row = 2
    loss_unit = "pair"

    def check(self, source: RowSource, plan: TrainingPlan) -> None:
        check_pairs(source)

    def read(self, source: RowSource, context: ReadingContext, count: int, held: int) -> RowsRead:
        plan, division = context.plan, divide_votes(source, context.plan)
        train = votes_to_learn(source, plan, context.settings, division.train)
        validation = by_majority(division.validation, context.settings)
        rng = random.Random(f"pairs {plan.training.seed}")
        train = sample_votes(train, min(count, MOST_ROWS), rng)
        validation = sample_votes(validation, held, rng)
        texts, checks = ([text_pair(vote, context.chat) for vote in votes] for votes in (train, validation))
        return RowsRead([texts], checks, len(division.train) + division.moved)

    def encode(self, texts: Iterable[TextPair], context: EncodingContext) -> list[EncodedPair]:
        """Pairs of which both sides are the same after cutting, and those of weight 0, are left out."""
        encode: EncodeSide = encode_joined if context.architecture == "encoder" else encode_side
        pairs = []
        for text in texts:
            if text.weight <= 0 or not text.chosen.strip() or not text.rejected.strip():
                continue
            prompt = text.messages or text.prompt
            chosen, rejected = (
                encode(context.tokenizer, prompt, completion, context.training.max_length)
                for completion in (text.chosen, text.rejected)
            )
            if (chosen.ids, chosen.target) != (rejected.ids, rejected.target):
                pairs.append(EncodedPair(chosen, rejected, text.weight, text.margin))
        return pairs

    def sequences(self, features: PairFeatures) -> list[TokenFeatures]:
        return [features.chosen, features.rejected]

    def collate(self, rows: Sequence[PairFeatures], context: EncodingContext) -> dict[str, Any]:
        return collate_pairs(rows, context)

    def width(self, example: EncodedPair, *, validation: bool = False) -> int:
        return max(example.chosen.length(), example.rejected.length())

    def grouping_key(self, example: EncodedPair) -> tuple[int, int]:
        return self.width(example), len(example.chosen.target)

    def lengths(self, example: EncodedPair, architecture: Architecture) -> tuple[int, int]:
        return self.width(example), 0

    def show(self, features: PairFeatures, width: int, context: EncodingContext) -> ShownRow:
        """Both sides; they differ in what follows their common beginning."""
        sides = (features.chosen.ids, features.rejected.ids)
        common = common_start(*sides)
        tokens = []
        for side in sides:
            kinds: list[TokenKind] = ["read" if index < common else "trained" for index in range(len(side))]
            tokens.append(pad_tokens(context.tokenizer, side, kinds, width))
        weight = "" if features.weight == 1 else f", weight {features.weight:g}"
        return ShownRow(tokens[0], tokens[1], f"the first above the second{weight}")

    def report(self, run: FinishedRun) -> dict[str, Any]:
        from genai_lab.training.reward_report import report

        return report(run.plan, run.inputs.objective_settings, run.sources, self.reward_of(run))

    def reward_of(self, run: FinishedRun) -> Any:
        """What gives completions a reward after the run."""
        raise NotImplementedError


def text_pair(vote: Vote, chat: bool) -> TextPair:
    prompt, messages = ("", vote.messages) if chat else (vote.prompt, ())
    return TextPair(prompt, vote.chosen, vote.rejected, messages, vote.row, vote.weight, vote.margin)


def completion_features(example: EncodedExample) -> TokenFeatures:
    """Prompt and completion as a decoder reads them, of which the completion is learned."""
    labels = [IGNORED] * (len(example.ids) - 1) + example.target + [IGNORED]
    return TokenFeatures(example.ids + example.target, labels)


def encode_side(tokenizer: Any, prompt: PromptLike, completion: str, length: int) -> EncodedExample:
    """Prompt and completion as a decoder reads them."""
    return EncodedExample(*encode_prompt_and_completion(tokenizer, prompt, completion, length))


def encode_joined(tokenizer: Any, prompt: str, completion: str, length: int) -> EncodedExample:
    """Prompt and completion as an encoder reads two texts."""
    ids, cut = encode_text_pair(tokenizer, prompt, completion, length)
    return EncodedExample(ids, [], cut)


def common_start(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(first), len(second)))


def previous_unlike(rows: Sequence[Row], key: Callable[[Row], object]) -> list[Row]:
    """For each row the nearest one before it, around the end, with another key; the row before where none has."""
    previous = [*rows[-1:], *rows[:-1]]
    if all(key(row) == key(rows[0]) for row in rows):
        return previous
    result = list(previous)
    for _ in range(2):  # the first rows may have theirs at the end
        for index, row in enumerate(rows):
            result[index] = result[index - 1] if key(previous[index]) == key(row) else previous[index]
    return result
