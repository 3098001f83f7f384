"""The card of a model that was made here: where it comes from, how it was trained, what came of it."""

from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.files import write_text
from genai_lab.services import models
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES

CARD = """---
base_model: {base}
tags: [genai_lab, {method}]
---
# {name}

{title} of {base}: {about}

| | |
|---|---|
{rows}

## Plan

```yaml
{plan}```

{use}
"""


def write_card(lab: LabContext, run_id: int, name: str, folder: Path, step: int) -> None:
    """README.md in the artefact's folder."""
    from genai_lab.services import training

    view = training.show(lab, run_id)
    method, objective = METHODS.get(view.plan.method), OBJECTIVES.get(view.plan.objective)
    curves = training.curves(lab, view)
    losses = dict(curves.get(view.best_figure, []))
    rows: dict[str, Any] = {
        "Objective": f"{objective.title} ({objective.source})",
        "Method": f"{method.title} ({method.source})",
        "Run": f"{run_id}, seed {view.seed}, checkpoint of step {step}",
        "Learning rate": f"{view.rate:g}",
        "Code": f"{view.code_revision[:12]}{' with local changes' if view.dirty else ''}",
    }
    rows |= {role.capitalize(): f"{name} ({digest})" for role, name, digest in view.inputs}
    if losses:
        best = (max if view.greater_is_better else min)(losses.values())
        unit = "" if view.rolls_out else " nats"
        rows[view.best_figure.capitalize()] = (
            f"{losses.get(step, best):.4f}{unit} per {objective.loss_unit} (before: {losses[min(losses)]:.4f})"
        )
    score = next((entry for entry in view.scores if entry["step"] == step), None)
    if score is not None:
        rows["Completions"] = f"{score['figure']} {score['value']:.3f}. {score['words']}"
    text = CARD.format(
        base=view.plan.model,
        method=view.plan.method,
        name=name,
        title=method.title,
        about=method.about.replace("\n", " "),
        rows="\n".join(f"| {name} | {value} |" for name, value in rows.items()),
        plan=view.plan.to_yaml(),
        use=_use(folder, view.plan.model, models.show(lab, view.plan.model).card.family),
    )
    write_text(folder / "README.md", text)


def _use(folder: Path, base: str, family: str) -> str:
    if (folder / "config.json").is_file():
        return "A whole model: `AutoTokenizer` and the `AutoModel` class of its architecture load this folder."
    if '"HOULSBY"' in (folder / "adapter_config.json").read_text():
        return "Bottleneck adapters in the lab's own format (`genai_lab.models.bottleneck`), on the base named above."
    kind = "AutoModelForSeq2SeqLM" if family == "encoder-decoder" else "AutoModelForCausalLM"
    return f"`PeftModel.from_pretrained({kind}.from_pretrained(BASE), FOLDER)` loads it on the base `{base}`."
