"""What was run before: found, hidden and brought back, exported."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data.formulas import guard
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import BACKENDS
from genai_lab.services.generation import KIND, RunView, run
from genai_lab.views import View
from storage import runs as queries
from storage.tables import Run

SHOWN = 160


# Kinds of run, the ones that a person starts, by what they are called.
KINDS = {
    "generate": "Completion",
    "matrix": "Matrix",
    "predict": "Predictions",
    "evaluate": "Evaluation",
    "train": "Training",
    "merge": "Merge",
    "study": "Study",
    "campaign": "Campaign",
    "import": "Import",
}


@dataclass(frozen=True)
class RunRow(View):
    """A run in one line; `tokens` counts the new ones of all completions.

    `kind` is one of KINDS or another. `prompt_start` is a generation's prompt, else what the run is about. `made` names
    what it made where that has a page of its own: a dataset's version or a campaign's number; `parent` is the run that
    it belongs to.
    """

    id: int
    kind: str
    model: str
    prompt_start: str
    completion_start: str
    sampling_summary: str
    seed: int
    status: str
    tokens: int
    created_at: datetime
    group: str | None
    parent: int | None = None
    made: str = ""


@dataclass(frozen=True)
class History(View):
    rows: list[RunRow]
    total: int


def history(lab: LabContext, search: str = "", limit: int = 50, offset: int = 0, kind: str = KIND) -> History:
    """Runs in which every word of `search` occurs, newest first; an empty kind is all but the cells of matrices."""
    with lab.database.reading() as session:
        found, total = queries.find_runs(session, search, limit, offset, kind)
        ids = [row.id for row in found]
        firsts = queries.firsts_of(session, ids)
        made = {run: str(campaign) for run, campaign in queries.campaigns_made_by(session, ids).items()}
        made |= queries.datasets_made_by(session, ids)
        return History([_row(row, firsts.get(row.id), made.get(row.id, "")) for row in found], total)


def is_new(lab: LabContext) -> bool:
    """Whether nothing has been done in this lab yet: no run, no model but the shipped ones."""
    from genai_lab.services import models

    with lab.database.reading() as session:
        if queries.any_run(session):
            return False
    views = [*models.catalogue(lab), *models.catalogue(lab, archived=True)]
    return all(BACKENDS.get(view.card.source.backend).shipped for view in views)


def delete_runs(lab: LabContext, run_ids: Sequence[int]) -> int:
    """Hides the runs from the history; how many. `undelete_runs` brings them back."""
    with lab.database.session() as session:
        return queries.set_deleted(session, run_ids, deleted=True)


def undelete_runs(lab: LabContext, run_ids: Sequence[int]) -> int:
    with lab.database.session() as session:
        return queries.set_deleted(session, run_ids, deleted=False)


def to_jsonl(lab: LabContext, run_ids: Sequence[int]) -> str:
    """One line a completion, lossless: prompt, settings, seed, model hash, code revision, packages, text."""
    lines = []
    for view in _views(lab, run_ids):
        for completion in view.completions:
            lines.append(
                json.dumps(
                    {
                        "run": view.id,
                        "created_at": view.created_at.isoformat(),
                        "model": view.model,
                        "model_hash": view.model_hash,
                        "mode": view.mode,
                        "prompt": view.prompt.text,
                        "messages": list(view.prompt.messages),
                        "prefix": list(view.prompt.prefix),
                        "rendered_prompt": view.rendered,
                        "settings": view.sampling.as_dict(),
                        "completion_index": completion.index,
                        "completion": completion.text,
                        "token_ids": [token.id for token in completion.tokens],
                        "logprobs": [token.logprob for token in completion.tokens],
                        "finish_reason": completion.finish_reason,
                        "prompt_tokens": completion.prompt_tokens,
                        "completion_tokens": completion.completion_tokens,
                        "seconds": completion.seconds,
                        "seed": completion.seed,
                        "code_revision": view.code_revision,
                        "dirty": view.dirty,
                        "packages": view.packages,
                    },
                    ensure_ascii=False,
                )
            )
    return "".join(line + "\n" for line in lines)


def to_csv(lab: LabContext, run_ids: Sequence[int]) -> str:
    """One row a completion; cells that a spreadsheet would take for a formula begin with an apostrophe.

    Lines end as RFC 4180 has it: with a bare line feed, csv would leave a cell with a carriage return unquoted.
    """
    import pandas as pd

    rows = [
        {
            "run": view.id,
            "created_at": view.created_at.isoformat(),
            "model": view.model,
            "mode": view.mode,
            "prompt": view.rendered,
            "completion": completion.text,
            "finish_reason": completion.finish_reason,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "seconds": round(completion.seconds, 4),
            "seed": completion.seed,
            **{key: value for key, value in view.sampling.as_dict().items() if key not in ("seed", "stop")},
            "stop": json.dumps(view.sampling.as_dict()["stop"]),
        }
        for view in _views(lab, run_ids)
        for completion in view.completions
    ]
    out = io.StringIO()
    pd.DataFrame(rows).map(harmless).to_csv(out, index=False, lineterminator="\r\n")
    return out.getvalue()


def summary(sampling: Sampling) -> str:
    """The settings that differ from the defaults, in a few words."""
    plain = Sampling().as_dict()
    now = sampling.as_dict()
    if sampling.greedy:
        now = {**now, "temperature": plain["temperature"], "top_k": plain["top_k"], "top_p": plain["top_p"]}
    words = [] if sampling.greedy or sampling.num_beams > 1 else [f"temperature {sampling.temperature:g}"]
    for name, value in now.items():
        if name not in ("seed", "temperature", "max_new_tokens") and value != plain[name]:
            words.append(name.replace("_", " ") + ("" if value is True else f" {value}"))
    return ", ".join([*words, f"max {sampling.max_new_tokens}"])


def _views(lab: LabContext, run_ids: Sequence[int]) -> list[RunView]:
    if not run_ids:
        raise LabError("No run is selected; select at least one to export.")
    return [run(lab, run_id) for run_id in run_ids]


def harmless(cell: object) -> object:
    """The cell, made so that no spreadsheet takes it for a formula."""
    return guard(cell)


def _row(row: Run, first: tuple[str, int] | None, made: str) -> RunRow:
    text, tokens = first or ("", 0)
    shown: dict[str, Any] = {
        "id": row.id,
        "kind": row.kind,
        "model": ", ".join(dict.fromkeys(one.model.name for one in row.inputs if one.model_id is not None)),
        "seed": row.seed,
        "status": row.status,
        "tokens": tokens,
        "created_at": row.created_at,
        "group": row.group,
        "parent": row.parent_id,
        "made": made,
    }
    if row.kind != KIND:
        return RunRow(prompt_start=_about(row, made), completion_start=row.error or "", sampling_summary="", **shown)
    kept = row.settings
    messages = kept["prompt"]["messages"]
    prompt = kept["prompt"]["text"] or (messages[-1].get("content", "") if messages else "")
    return RunRow(
        prompt_start=prompt[:SHOWN],
        completion_start=(text if first else row.error or "")[:SHOWN],
        sampling_summary=summary(Sampling.from_dict(kept["sampling"])),
        **shown,
    )


def _about(row: Run, made: str) -> str:
    """What a run that is no generation is about: its title, and the datasets it read or made."""
    title = row.title or row.settings.get("title") or row.settings.get("label") or ""
    read = [
        f"{one.dataset_version.dataset.name}@{one.dataset_version.number}" for one in row.inputs if one.dataset_version
    ]
    named = [name for name in dict.fromkeys([made if "@" in made else "", *read]) if name and name not in title]
    return " · ".join([*([str(title)[:SHOWN]] if title else []), *named])[: 2 * SHOWN]
