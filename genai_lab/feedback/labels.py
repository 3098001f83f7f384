"""Labels of single completions from rankings: what an annotator called good or bad, each by itself.

A ranking says which completion is better, not that any is good. The last common reading (Ethayarajh et al., 2024,
section 4) takes the first group as desirable and the last as undesirable; what stands between them, and a tie of all,
gives no label. "Both bad" says it of each completion by itself, which no pair can hold.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

# The columns of a dataset of labels, by what they are to an objective that learns from them.
LABEL_COLUMNS = {"input": ["prompt"], "reference": ["completion"], "label": ["label"]}


@dataclass(frozen=True)
class Label:
    """One annotator's label of one completion; True is desirable."""

    prompt: str
    completion: str
    label: bool
    item: int
    annotator: str
    criterion: str
    system: str
    ranking: int


def labels_of(groups: Sequence[Sequence[int]], both_bad: bool = False) -> Iterable[tuple[int, bool]]:
    """(candidate, desirable) of one answer; none of a tie of all."""
    if both_bad:
        yield from ((candidate, False) for group in groups for candidate in group)
    elif len(groups) > 1:
        yield from ((candidate, True) for candidate in groups[0])
        yield from ((candidate, False) for candidate in groups[-1])


def majority_labels(labels: Iterable[Label]) -> list[Label]:
    """One label for each completion of an item, by the majority of those who gave one; even votes give none."""
    grouped: dict[tuple[int, str, str], list[Label]] = defaultdict(list)
    for label in labels:
        grouped[label.item, label.system, label.completion].append(label)
    result = []
    for votes in grouped.values():
        good = sum(vote.label for vote in votes)
        if 2 * good != len(votes):
            winner = next(vote for vote in votes if vote.label == (2 * good > len(votes)))
            result.append(replace(winner, annotator="majority"))
    return result
