"""What leaves a campaign: pairs or labels as a dataset version with lineage, or as files; rankings as they are."""

import csv
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.errors import BadSetting, LabError
from genai_lab.feedback.labels import LABEL_COLUMNS, Label, labels_of, majority_labels
from genai_lab.feedback.pairs import FORMS, VOTES, Pair, aggregate_pairs, format_pair, pairs_of
from genai_lab.files import atomic_write
from genai_lab.services import datasets, feedback
from genai_lab.services.history import harmless
from genai_lab.views import View
from storage import feedback as queries
from storage.feedback_tables import Item
from storage.tables import RunInput

RATIOS = (0.7, 0.1, 0.2)
FILES = ("jsonl", "csv")
CONTENTS = ("pairs", "labels", "rankings")
MAPPINGS = {
    "pairs": {"input": ["prompt"], "chosen": ["chosen"], "rejected": ["rejected"]},
    "labels": LABEL_COLUMNS,
}


@dataclass(frozen=True)
class Exported(View):
    """A file of so many lines; pairs and labels are kept under `dataset` (NAME@VERSION) too, which has the lineage."""

    path: Path
    rows: int
    dataset: str = ""


@dataclass(frozen=True)
class _Votes:
    """What counts of a campaign up to the ranking `through`: answers, and the owner's decisions as groups by item."""

    answers: list[queries.CurrentAnswer]
    decided: dict[int, list[list[int]]]
    items: dict[int, Item]
    people: dict[int, str]
    through: int


def pairs(lab: LabContext, campaign: int | str, votes: str = "kept") -> list[Pair]:
    """Every pair that the campaign's rankings give; repeats, gold items and 'both bad' give none.

    With `votes` "majority" annotators of an item are aggregated. Where the owner has decided, that counts alone.
    """
    view = feedback.show(lab, campaign)
    return _pairs(view, _counted(lab, view), votes)


def _counted(lab: LabContext, view: feedback.CampaignView) -> _Votes:
    with lab.database.reading() as session:
        through = queries.last_ranking(session, view.id)
        cast_votes = queries.votes(session, view.id, through)
        golds = queries.golds(session, view.id)
        people = {annotator.id: annotator.name for annotator in queries.annotators(session, view.id)}
        decided = {item.id: item for item in queries.find_decided(session, view.id)}
        items = queries.items_with(session, {vote.item for vote in cast_votes}) | decided
    answers = [
        vote
        for vote in cast_votes
        if vote.status == "done" and not vote.repeat and not vote.skip and vote.item not in golds.keys() | decided
    ]
    groups = {number: (item.verdict or {}).get("groups") or [] for number, item in decided.items()}
    return _Votes(answers, groups, items, people, through)


def _pairs(view: feedback.CampaignView, counted: _Votes, votes: str) -> list[Pair]:
    check_choice("votes", votes, VOTES)
    rows = [
        (vote.item, vote.groups, counted.people[vote.annotator], vote.ranking)
        for vote in counted.answers
        if not vote.both_bad
    ]
    rows += [(item, groups, "lead", 0) for item, groups in counted.decided.items()]
    pairs = []
    for number, groups, annotator, ranking in rows:
        item = counted.items[number]
        candidates = {candidate.id: candidate for candidate in item.candidates}
        pairs += [
            Pair(
                item.prompt, candidates[a].text, candidates[b].text, weight, margin, item.id, annotator,
                view.plan.criterion, candidates[a].system, candidates[b].system, ranking,
            )
            for a, b, weight, margin in pairs_of(groups)
        ]  # fmt: skip
    if votes == "majority":
        return aggregate_pairs(
            pairs, Counter(vote.item for vote in counted.answers) | dict.fromkeys(counted.decided, 1)
        )
    return pairs


def labels(lab: LabContext, campaign: int | str, votes: str = "kept") -> list[Label]:
    """Every completion that an answer calls good or bad by itself, without pairing it with another.

    "Both bad" labels both; a tie says nothing about either and gives none. With `votes` "majority" annotators of a
    completion are aggregated. Where the owner has decided, that counts alone.
    """
    view = feedback.show(lab, campaign)
    return _labels(view, _counted(lab, view), votes)


def _labels(view: feedback.CampaignView, counted: _Votes, votes: str) -> list[Label]:
    check_choice("votes", votes, VOTES)
    rows = [
        (vote.item, vote.groups, vote.both_bad, counted.people[vote.annotator], vote.ranking)
        for vote in counted.answers
    ]
    rows += [(item, groups, False, "lead", 0) for item, groups in counted.decided.items()]
    result = []
    for number, groups, both_bad, annotator, ranking in rows:
        item = counted.items[number]
        candidates = {candidate.id: candidate for candidate in item.candidates}
        result += [
            Label(
                item.prompt, candidates[place].text, good, item.id, annotator, view.plan.criterion,
                candidates[place].system, ranking,
            )
            for place, good in labels_of(groups, both_bad)
        ]  # fmt: skip
    return majority_labels(result) if votes == "majority" else result


def to_dataset(
    lab: LabContext,
    campaign: int | str,
    *,
    votes: str = "kept",
    content: str = "pairs",
    name: str = "",
    seed: int = 0,
) -> datasets.VersionView:
    """The pairs, or with `content` "labels" the labelled completions, as a new dataset version, split by prompt.

    Its run reads the campaign's, so that a walk leads back: version, run and what it read are one transaction. The same
    votes give the same version again.
    """
    return _version(lab, campaign, votes, content, name, seed)[0]


def _version(
    lab: LabContext, campaign: int | str, votes: str, content: str = "pairs", name: str = "", seed: int = 0
) -> tuple[datasets.VersionView, list[dict[str, Any]]]:
    """The version, and its rows."""
    check_choice("content", content, tuple(MAPPINGS))
    view = feedback.show(lab, campaign)
    counted = _counted(lab, view)
    source = {"kind": "campaign", "campaign": view.id, "name": view.name, "votes": votes, "through": counted.through}
    if content == "labels":
        rows = [asdict(label) for label in _labels(view, counted, votes)]
        source["content"] = content
    else:
        rows = [asdict(pair) for pair in _pairs(view, counted, votes)]
    if not rows:
        raise LabError(f"{view.name} has no {content} yet: nobody has put one candidate before another.")
    version = datasets.import_rows(
        lab,
        rows,
        name or _name(view.name, content),
        source | {"decided": {str(item): groups for item, groups in counted.decided.items()}},
        mapping=MAPPINGS[content],
        split=SplitPlan("group", RATIOS, "prompt", seed),
        inputs=[RunInput(role="campaign", source_run_id=view.run)],
    )
    return version, rows


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise BadSetting(name, value, f"one of {', '.join(choices)}")


def _name(campaign: str, content: str) -> str:
    stem = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in campaign).strip("-.")
    return f"{stem or 'campaign'}-{content}"[:100]


def export(
    lab: LabContext,
    campaign: int | str,
    path: Path,
    *,
    form: str = "explicit",
    votes: str = "kept",
    what: str = "pairs",
    name: str = "",
) -> Exported:
    """Writes pairs in one of TRL's forms, labels as {prompt, completion, label}, or rankings as given: .jsonl or .csv.

    Pairs and labels become a dataset version first (called `name`), so that what learns from them can be walked back.
    """
    kind = path.suffix.lstrip(".").lower()
    if kind not in FILES:
        raise LabError(f"{path.name} must end in .jsonl or .csv, so that its form is known.")
    check_choice("what", what, CONTENTS)
    check_choice("form", form, FORMS)
    dataset = ""
    if what == "rankings":
        rows = list(rankings(lab, campaign))
    else:
        version, rows = _version(lab, campaign, votes, what, name)
        dataset = version.name
        if what == "pairs":
            rows = [format_pair(row, form) for row in rows]
    try:
        with atomic_write(path) as draft:
            _write(rows, draft, kind)
    except OSError as problem:
        raise LabError(f"{path} cannot be written ({problem.strerror}).") from problem
    return Exported(path, len(rows), dataset)


def export_file(
    lab: LabContext, campaign: int | str, kind: str, *, form: str = "explicit", votes: str = "kept", what: str = "pairs"
) -> Exported:
    """An export where the pages may hand it out."""
    view = feedback.show(lab, campaign)
    root = lab.config.uploads / "exports"
    for old in root.glob("*"):
        if time.time() - old.stat().st_mtime > 3600:
            for file in old.glob("*"):
                file.unlink(missing_ok=True)
    folder = root / uuid.uuid4().hex
    folder.mkdir(parents=True)
    path = folder / f"{_name(view.name, what)}.{kind}"
    return export(lab, view.id, path, form=form, votes=votes, what=what)


def rankings(lab: LabContext, campaign: int | str) -> Iterator[dict[str, Any]]:
    """Every answer that was ever given, with the order shown and the systems: the whole record of the campaign."""
    view = feedback.show(lab, campaign)
    with lab.database.reading() as session:
        revisions = queries.revisions(session, view.id)
        people = {candidate.id: candidate.name for candidate in queries.annotators(session, view.id)}
        items = queries.items_with(session, {row.item_id for _, row in revisions})
    for ranking, row in revisions:
        item = items[row.item_id]
        positions = {candidate.id: candidate.place for candidate in item.candidates}
        yield {
            "ranking": ranking.id,
            "at": ranking.created_at.isoformat(),
            "item": item.id,
            "annotator": people[row.annotator_id],
            "prompt": item.prompt,
            "completions": [candidate.text for candidate in item.candidates],
            "systems": [candidate.system for candidate in item.candidates],
            "groups": [[positions[candidate] for candidate in group] for group in ranking.groups],
            "shown": [positions[candidate] for candidate in row.shown],
            "repeat": row.repeat,
            "revision": ranking.revision,
            "current": ranking.current,
            "counted": ranking.current and row.status == "done",
            "both_bad": ranking.both_bad,
            "flag": ranking.flag,
            "comment": ranking.comment,
            "skip": ranking.skip,
            "seconds": ranking.seconds,
            "criterion": view.plan.criterion,
        }


def _write(rows: list[dict[str, Any]], path: Path, kind: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        if kind == "jsonl":
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            return
        writer = csv.writer(stream)
        names = list(rows[0]) if rows else []
        writer.writerow(names)
        for row in rows:
            writer.writerow([harmless(datasets.text_of(row[name])) for name in names])
