"""Sample completions of a run: a row a prompt, a column an evaluation, what changed marked."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

LONGEST = 4000  # characters that are compared word by word
TABLE = """
{{#if value.rows.length}}<div class="grid-scroll" tabindex="0" role="region" aria-label="Sample completions">
<table class="grid samples"><thead><tr><th scope="col">Prompt</th><th scope="col">Reference</th>
{{#each value.steps}}<th scope="col">{{this}}</th>{{/each}}</tr></thead><tbody>{{#each value.rows}}<tr>
<td><p>{{this.prompt}}</p></td><td><p>{{this.reference}}</p></td>{{#each this.cells}}<td>
<p>{{#each this.parts}}{{#if this.[1]}}<mark>{{this.[0]}}</mark>{{else}}{{this.[0]}}{{/if}}{{/each}}</p>
{{#if this.same}}<small class="better">equals the reference</small>{{/if}}</td>{{/each}}</tr>{{/each}}</tbody></table>
</div>{{/if}}
"""


def table(rows: Sequence[dict[str, Any]], every_step: bool = False) -> dict[str, Any]:
    """The value of TABLE: the first and the last evaluation, or the `whole` of them."""
    steps = sorted({sample["step"] for sample in rows})
    columns = steps if every_step or len(steps) < 3 else [steps[0], steps[-1]]
    places: dict[int, dict[int, dict[str, Any]]] = {}
    for sample in rows:
        places.setdefault(sample["place"], {})[sample["step"]] = sample
    table_rows = []
    for _, by_step in sorted(places.items()):
        first = next(iter(by_step.values()))
        reference, before = first.get("reference") or "", by_step.get(columns[0], {}).get("text")
        cells = [_cell(by_step.get(step), before if step != columns[0] else None, reference) for step in columns]
        table_rows.append({"prompt": first["prompt"], "reference": reference, "cells": cells})
    return {"steps": [f"Step {step:,}" for step in columns], "rows": table_rows}


def _cell(sample: dict[str, Any] | None, before: str | None, reference: str) -> dict[str, Any]:
    if sample is None:
        return {"parts": [], "same": False}
    text = sample["text"]
    same = bool(reference.strip()) and text.strip() == reference.strip()
    return {"parts": word_changes(before, text) if before is not None else [[text, False]], "same": same}


def word_changes(before: str, text: str) -> list[list[Any]]:
    """`text` in parts as [part, whether it was not in `before`], word by word."""
    if max(len(before), len(text)) > LONGEST:
        return [[text, False]]
    old, new = (re.findall(r"\s+|\w+|[^\w\s]", text_) for text_ in (before, text))
    parts: list[list[Any]] = []
    for kind, _, _, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        part = "".join(new[start:end])
        if part:
            parts.append([part, kind != "equal" and bool(part.strip())])
    return parts
