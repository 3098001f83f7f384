"""A plan looked at before its run: the first batch, and the memory and time that it will take, as they are read."""

from collections.abc import Iterator

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.services import training
from genai_lab.services.training import estimates
from genai_lab.services.training.batch_preview import first_batch
from genai_lab.training import TrainingPlan
from pages.components.forms import Updates
from pages.finetune import panels

WAITING, READY = gr.update(interactive=False), gr.update(interactive=True)


def batch_updates(lab: LabContext, plan: TrainingPlan) -> Iterator[Updates]:
    """Updates of "first_batch" and its button "look"."""
    yield {"first_batch": {"rows": [], "waiting": "Reading the rows of the first batch…"}, "look": WAITING}
    try:
        panel = panels.batch_value(first_batch(lab, plan))
    except BaseException:
        yield {"first_batch": {"rows": []}, "look": READY}
        raise
    yield {"first_batch": panel, "look": READY}


def memory_updates(lab: LabContext, plan: TrainingPlan, gpu: str = "") -> Iterator[Updates]:
    """Updates of "memory" and its button "weigh": memory first, then how long it will take, from two timed steps."""
    waiting = f"Estimating the memory of one step of {plan.model}…"
    yield {"memory": {"bars": [], "waiting": waiting}, "weigh": WAITING}
    try:
        resolved = training.resolve(lab, plan)
        panel = panels.memory_value(estimates.estimate(lab, resolved), gpu)
        panel["passes"] = panels.passes_text(resolved)
    except BaseException:
        yield {"memory": {"bars": []}, "weigh": READY}
        raise
    yield {"memory": {**panel, "waiting": "Timing two steps to estimate how long it will take…"}, "weigh": WAITING}
    try:
        panel["passes"] = estimates.time_run(lab, resolved).sentence
    except BaseException:
        yield {"memory": panel, "weigh": READY}
        raise
    yield {"memory": panel, "weigh": READY}
