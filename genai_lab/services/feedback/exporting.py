"""What leaves a campaign: preference pairs as a dataset version with lineage, or as files; rankings as they are."""

import csv
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genai_lab.data import SplitPlan
from genai_lab.errors import BadSetting, LabError
from genai_lab.feedback.pairs import FORMS, VOTES, Pair, aggregated, formed, pairs_of
from genai_lab.lab import Lab
from genai_lab.services import datasets, feedback
from genai_lab.services.history import harmless
from storage import feedback as queries
from storage.tables import DatasetVersion, Run, RunInput

RATIOS = (0.7, 0.1, 0.2)
FILES = ("jsonl", "csv")


def pairs(lab: Lab, campaign: int | str, votes: str = "kept", through: int | None = None) -> list[Pair]:
    """Every pair that the campaign's rankings give; repeats, gold items and 'both bad' give none.

    With `votes` "majority" annotators of an item are aggregated. `through` names the last ranking that counts.
    """
    if votes not in VOTES:
        raise BadSetting("votes", votes, f"one of {', '.join(VOTES)}")
    view = feedback.show(lab, campaign)
    with lab.database.reading() as session:
        found = queries.votes(session, view.id, through)
        golds = queries.golds(session, view.id)
        people = {one.id: one.name for one in queries.annotators(session, view.id)}
        items = queries.items_with(session, {vote.item for vote in found})
    made = []
    for vote in found:
        if vote.repeat or vote.skip or vote.both_bad or vote.status != "done" or vote.item in golds:
            continue
        item = items[vote.item]
        text = {one.id: one for one in item.candidates}
        for chosen, rejected, weight, margin in pairs_of(vote.groups):
            made.append(
                Pair(
                    item.prompt,
                    text[chosen].text,
                    text[rejected].text,
                    weight,
                    margin,
                    vote.item,
                    people[vote.annotator],
                    view.plan.criterion,
                    text[chosen].system,
                    text[rejected].system,
                    vote.ranking,
                )
            )
    decided = _adjudicated(lab, view)
    made = [pair for pair in made if pair.item not in decided] + [pair for own in decided.values() for pair in own]
    return aggregated(made) if votes == "majority" else made


def _adjudicated(lab: Lab, view: feedback.CampaignView) -> dict[int, list[Pair]]:
    """Where the lead has decided, that counts alone."""
    with lab.database.reading() as session:
        items = queries.decided(session, view.id)
        made: dict[int, list[Pair]] = {}
        for item in items:
            text = {one.id: one for one in item.candidates}
            groups = (item.verdict or {}).get("groups") or []
            made[item.id] = [
                Pair(
                    item.prompt,
                    text[a].text,
                    text[b].text,
                    weight,
                    margin,
                    item.id,
                    "lead",
                    view.plan.criterion,
                    text[a].system,
                    text[b].system,
                    0,
                )
                for a, b, weight, margin in pairs_of(groups)
            ]
    return made


def to_dataset(
    lab: Lab, campaign: int | str, *, votes: str = "kept", name: str = "", seed: int = 0
) -> datasets.VersionView:
    """The pairs as a new dataset version, split by prompt; its run reads the campaign's, so that a walk leads back.

    The same votes give the same version again.
    """
    view = feedback.show(lab, campaign)
    with lab.database.reading() as session:
        through = queries.last_ranking(session, view.id)
    rows = [_row(pair) for pair in pairs(lab, view.id, votes, through)]
    if not rows:
        raise LabError(f"{view.name} has no pairs yet: nobody has put one candidate before another.")
    made = datasets.import_rows(
        lab,
        rows,
        name or _name(view.name),
        {"kind": "campaign", "campaign": view.id, "name": view.name, "votes": votes, "through": through},
        mapping={"input": ["prompt"], "chosen": ["chosen"], "rejected": ["rejected"]},
        split=SplitPlan("group", RATIOS, "prompt", seed),
    )
    with lab.database.session() as session:
        run = session.get_one(Run, session.get_one(DatasetVersion, made.id).made_by_run_id)
        if not run.inputs:
            run.inputs.append(RunInput(role="campaign", source_run_id=view.run))
    return made


def _name(campaign: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in campaign).strip("-.")
    return f"{kept or 'campaign'}-pairs"[:100]


def _row(pair: Pair) -> dict[str, Any]:
    return asdict(pair)


def export(
    lab: Lab, campaign: int | str, path: Path, *, form: str = "explicit", votes: str = "kept", what: str = "pairs"
) -> int:
    """Writes pairs in one of TRL's forms, or rankings as they were given, as .jsonl or .csv; how many lines."""
    kind = path.suffix.lstrip(".").lower()
    if kind not in FILES:
        raise LabError(f"{path.name} must end in .jsonl or .csv, so that its form is known.")
    if what not in ("pairs", "rankings"):
        raise BadSetting("what", what, "pairs or rankings")
    if form not in FORMS:
        raise BadSetting("form", form, f"one of {', '.join(FORMS)}")
    if what == "rankings":
        rows = list(rankings(lab, campaign))
    else:
        rows = [formed(_row(pair), form) for pair in pairs(lab, campaign, votes)]
    draft = path.with_name(path.name + ".part")
    try:
        _write(rows, draft, kind)
        draft.replace(path)
    except OSError as problem:
        raise LabError(f"{path} cannot be written ({problem.strerror}).") from problem
    finally:
        draft.unlink(missing_ok=True)
    return len(rows)


def export_file(
    lab: Lab, campaign: int | str, kind: str, *, form: str = "explicit", votes: str = "kept", what: str = "pairs"
) -> Path:
    """An export where the pages may hand it out."""
    view = feedback.show(lab, campaign)
    root = lab.config.uploads / "exports"
    for old in root.glob("*"):
        if time.time() - old.stat().st_mtime > 3600:
            for file in old.glob("*"):
                file.unlink(missing_ok=True)
    place = root / uuid.uuid4().hex
    place.mkdir(parents=True)
    path = place / f"{_name(view.name).removesuffix('-pairs')}-{what}.{kind}"
    export(lab, view.id, path, form=form, votes=votes, what=what)
    return path


def rankings(lab: Lab, campaign: int | str) -> Iterator[dict[str, Any]]:
    """Every answer that was ever given, with the order shown and the systems: the whole record of the campaign."""
    view = feedback.show(lab, campaign)
    with lab.database.reading() as session:
        found = queries.revisions(session, view.id)
        people = {one.id: one.name for one in queries.annotators(session, view.id)}
        items = queries.items_with(session, {row.item_id for _, row in found})
    for ranking, row in found:
        item = items[row.item_id]
        place = {one.id: one.place for one in item.candidates}
        yield {
            "ranking": ranking.id,
            "at": ranking.created_at.isoformat(),
            "item": item.id,
            "annotator": people[row.annotator_id],
            "prompt": item.prompt,
            "completions": [one.text for one in item.candidates],
            "systems": [one.system for one in item.candidates],
            "groups": [[place[one] for one in group] for group in ranking.groups],
            "shown": [place[one] for one in row.shown],
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
