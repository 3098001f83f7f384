"""Preference pairs from rankings, and the forms in which training libraries read them.

A ranking of k gives every pair that is no tie, each with the weight 1 / (k choose 2), so that a ranking of six counts
no more than one of two (Ouyang et al., 2022, equation 1).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import Any

from genai_lab.data.conversations import read_turns
from genai_lab.errors import BadSetting
from genai_lab.feedback import verdicts

FORMS = ("explicit", "implicit", "chat", "implicit chat")
VOTES = ("kept", "majority")


@dataclass(frozen=True)
class Pair:
    """`margin` is the distance of the two groups in the ranking, 1 for neighbours; `weight` counts in the loss."""

    prompt: str
    chosen: str
    rejected: str
    weight: float
    margin: float
    item: int
    annotator: str
    criterion: str
    chosen_system: str
    rejected_system: str
    ranking: int


def pairs_of(groups: Sequence[Sequence[int]]) -> Iterable[tuple[int, int, float, float]]:
    """(chosen, rejected, weight, margin) of one ranking, the better first."""
    rank = {candidate: position for position, group in enumerate(groups) for candidate in group}
    weight = 1.0 / comb(len(rank), 2)
    for (a, b), order in verdicts(groups).items():
        if order:
            better, worse = (a, b) if order > 0 else (b, a)
            yield better, worse, weight, float(rank[worse] - rank[better])


def aggregate_pairs(pairs: Iterable[Pair], answers: Mapping[int, int]) -> list[Pair]:
    """One pair for each two candidates of an item, by the majority of annotators; even votes give none.

    `answers` is how many rankings an item has. The weight is the mean weight times the majority's lead,
    (for - against) / all, where who ties the two (or calls both bad) is one of all.
    """
    grouped: dict[tuple[int, frozenset[tuple[str, str]]], list[Pair]] = defaultdict(list)
    for pair in pairs:
        two = ((pair.chosen_system, pair.chosen), (pair.rejected_system, pair.rejected))
        grouped[pair.item, frozenset(two)].append(pair)
    result = []
    for votes in grouped.values():
        first = votes[0]
        in_favour = [pair for pair in votes if (pair.chosen, pair.chosen_system) == (first.chosen, first.chosen_system)]
        against = [pair for pair in votes if pair not in in_favour]
        if len(in_favour) == len(against):
            continue
        winners = in_favour if len(in_favour) > len(against) else against
        lead = abs(len(in_favour) - len(against)) / answers[first.item]
        weight = lead * sum(pair.weight for pair in votes) / len(votes)
        margin = sum(pair.margin for pair in winners) / len(winners)
        result.append(replace(winners[0], weight=weight, margin=margin, annotator="majority"))
    return result


def format_pair(pair: Mapping[str, Any], form: str) -> dict[str, Any]:
    """A pair as TRL reads it: explicit {prompt, chosen, rejected}, implicit without the prompt's own column."""
    if form not in FORMS:
        raise BadSetting("form", form, f"one of {', '.join(FORMS)}")
    other_columns = {name: value for name, value in pair.items() if name not in ("prompt", "chosen", "rejected")}
    prompt, chosen, rejected = pair["prompt"], pair["chosen"], pair["rejected"]
    prompt_messages = [turn.as_dict() for turn in read_turns(prompt, "user")]
    answer_messages = [[{"role": "assistant", "content": text}] for text in (chosen, rejected)]
    if form == "explicit":
        return {"prompt": prompt, "chosen": chosen, "rejected": rejected, **other_columns}
    if form == "implicit":
        return {"chosen": f"{prompt}{chosen}", "rejected": f"{prompt}{rejected}", **other_columns}
    if form == "chat":
        return {
            "prompt": prompt_messages,
            "chosen": answer_messages[0],
            "rejected": answer_messages[1],
            **other_columns,
        }
    return {
        "chosen": prompt_messages + answer_messages[0],
        "rejected": prompt_messages + answer_messages[1],
        **other_columns,
    }
