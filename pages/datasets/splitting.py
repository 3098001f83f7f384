"""The fields that say how rows are split, for an import and for splitting a version again."""

from typing import Any

import gradio as gr

from genai_lab.data import SPLITS, SplitPlan
from pages.components.settings_inputs import Updates, Values

WAYS = [("All rows in one split", "none"), ("By ratio", "ratio"), ("By column", "column"), ("By group", "group")]
DEFAULT_SHARES = dict(zip(SPLITS, (0.8, 0.1, 0.1), strict=True))
FIELDS = ["by", *SPLITS, "column", "only", "seed"]


def draw_split_fields(prefix: str) -> dict[str, Any]:
    """Draws the fields here, by name: how to split, a share for each split, the column, the one split, the seed."""
    with gr.Row():
        fields: dict[str, Any] = {
            "by": gr.Dropdown(
                WAYS, value="ratio", label="Split", interactive=True, min_width=140, elem_id=f"{prefix}-by"
            )
        }
        for split, share in DEFAULT_SHARES.items():
            fields[split] = gr.Number(share, label=split.capitalize(), minimum=0, maximum=1, step=0.05, min_width=80)
        fields["column"] = gr.Dropdown(
            [], label="Split column", visible=False, interactive=True, min_width=140, elem_id=f"{prefix}-split-column"
        )
        fields["only"] = gr.Dropdown(
            list(SPLITS), value="test", label="Which split", visible=False, interactive=True, min_width=110
        )
        fields["seed"] = gr.Number(0, label="Seed", precision=0, min_width=80, elem_id=f"{prefix}-seed")
    return fields


def show_split_fields(by: str) -> Updates:
    """Shows the fields that this way of splitting needs."""
    random = gr.update(visible=by in ("ratio", "group"))
    return {
        **dict.fromkeys(SPLITS, random),
        "column": gr.update(visible=by in ("column", "group")),
        "only": gr.update(visible=by == "none"),
        "seed": random,
    }


def read_split_plan(fields: Values) -> SplitPlan:
    """The plan from the fields' values; raises LabError."""
    by = fields["by"]
    shares = DEFAULT_SHARES
    if by in ("ratio", "group"):
        shares = {split: float(fields[split] or 0) for split in SPLITS}
    return SplitPlan(by, tuple(shares.values()), fields["column"] or "", int(fields["seed"] or 0), fields["only"])  # type: ignore[arg-type]
