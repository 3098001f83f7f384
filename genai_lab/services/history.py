"""The history: runs of every kind are listed, hidden and brought back, exported."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.data.formulas import guard
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import BACKENDS
from genai_lab.services.generation import KIND, RunView, run
from genai_lab.services.runs import RUN_KINDS, address_of
from genai_lab.views import Linked, View
from storage import runs as queries
from storage.tables import Run

START = 160


@dataclass(frozen=True)
class RunRow(View, Linked):
    """A run in one line; `tokens` counts the new ones of all completions.

    `prompt_start` is a generation's prompt, else what the run is about. `output` names what the run made where that has
    a page of its own: a dataset's version or a campaign's number; `parent` is the run that it belongs to.
    """

    _computed: ClassVar[tuple[str, ...]] = ("title", "address", "replayable")

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
    output: str = ""

    @property
    def title(self) -> str:
        """What runs of this kind are called."""
        return RUN_KINDS.get(self.kind).title if self.kind in RUN_KINDS else self.kind

    @property
    def address(self) -> str:
        """The page of the run's kind, with this run open."""
        return address_of(self)

    @property
    def replayable(self) -> bool:
        return self.kind in RUN_KINDS and RUN_KINDS.get(self.kind).replay is not None


@dataclass(frozen=True)
class History(View):
    rows: list[RunRow]
    total: int


def history(lab: LabContext, search: str = "", limit: int = 50, offset: int = 0, kind: str = "") -> History:
    """Runs in which every word of `search` occurs, newest first; an empty kind is all but the cells of matrices."""
    with lab.database.reading() as session:
        runs, total = queries.find_runs(session, search, limit, offset, kind)
        return History(_rows(session, runs), total)


def rows_of(lab: LabContext, run_ids: Sequence[int]) -> dict[int, RunRow]:
    """These runs in one line each, by their ids; those that do not exist are left out."""
    with lab.database.reading() as session:
        return {row.id: row for row in _rows(session, queries.runs_by_id(session, run_ids))}


def is_new(lab: LabContext) -> bool:
    """Whether nothing has been done in this lab yet: no run, no model but the shipped ones."""
    from genai_lab.services import models

    with lab.database.reading() as session:
        if queries.any_run(session):
            return False
    views = [*models.catalogue(lab), *models.catalogue(lab, archived=True)]
    return all(BACKENDS.get(view.card.source.backend).shipped for view in views)


def check_deletable(lab: LabContext, run_ids: Sequence[int]) -> None:
    """Raises LabError unless all of these runs are completions: what others have made is listed on its own page."""
    _check_kind(lab, run_ids, "deleted")


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
    defaults = Sampling().as_dict()
    settings = sampling.as_dict()
    if sampling.greedy:
        settings |= {name: defaults[name] for name in ("temperature", "top_k", "top_p")}
    parts = [] if sampling.greedy or sampling.num_beams > 1 else [f"temperature {sampling.temperature:g}"]
    for name, value in settings.items():
        if name not in ("seed", "temperature", "max_new_tokens") and value != defaults[name]:
            parts.append(name.replace("_", " ") + ("" if value is True else f" {value}"))
    return ", ".join([*parts, f"max {sampling.max_new_tokens}"])


def _views(lab: LabContext, run_ids: Sequence[int]) -> list[RunView]:
    if not run_ids:
        raise LabError("No run is selected; select at least one to export.")
    _check_kind(lab, run_ids, "exported")
    return [run(lab, run_id) for run_id in run_ids]


def _check_kind(lab: LabContext, run_ids: Sequence[int], action: str) -> None:
    with lab.database.reading() as session:
        others = sorted(run_id for run_id in run_ids if (row := session.get(Run, run_id)) and row.kind != KIND)
    if others:
        raise LabError(f"Only completions can be {action} here; run {others[0]} is of another kind, so deselect it.")


def harmless(cell: object) -> object:
    """The cell, made so that no spreadsheet takes it for a formula."""
    return guard(cell)


def _rows(session: Session, runs: Sequence[Run]) -> list[RunRow]:
    ids = [run.id for run in runs]
    completions = queries.firsts_of(session, ids)
    outputs = {run: str(campaign) for run, campaign in queries.campaigns_made_by(session, ids).items()}
    outputs |= queries.datasets_made_by(session, ids)
    return [_row(run, completions.get(run.id), outputs.get(run.id, "")) for run in runs]


def _row(row: Run, first: tuple[str, int] | None, output: str) -> RunRow:
    text, tokens = first or ("", 0)
    fields: dict[str, Any] = {
        "id": row.id,
        "kind": row.kind,
        "model": ", ".join(dict.fromkeys(read.model.name for read in row.inputs if read.model_id is not None)),
        "seed": row.seed,
        "status": row.status,
        "tokens": tokens,
        "created_at": row.created_at,
        "group": row.group,
        "parent": row.parent_id,
        "output": output,
    }
    if row.kind != KIND:
        return RunRow(prompt_start=_about(row, output), completion_start=row.error or "", sampling_summary="", **fields)
    settings = row.settings
    messages = settings["prompt"]["messages"]
    prompt = settings["prompt"]["text"] or (messages[-1].get("content", "") if messages else "")
    return RunRow(
        prompt_start=prompt[:START],
        completion_start=(text if first else row.error or "")[:START],
        sampling_summary=summary(Sampling.from_dict(settings["sampling"])),
        **fields,
    )


def _about(row: Run, output: str) -> str:
    """What a run other than a generation is about: its title, and the datasets that it read or made."""
    title = row.title or row.settings.get("title") or row.settings.get("label") or ""
    versions = [
        f"{read.dataset_version.dataset.name}@{read.dataset_version.number}"
        for read in row.inputs
        if read.dataset_version
    ]
    names = dict.fromkeys([output if "@" in output else "", *versions])
    new_names = [name for name in names if name and name not in title]
    return " · ".join([*([str(title)[:START]] if title else []), *new_names])[: 2 * START]
