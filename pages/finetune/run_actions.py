"""What can be done with the run that is open, on every page that watches runs: cancel, resume, keep."""

from collections.abc import Callable, Sequence
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import training
from pages.components.confirm import Confirm
from pages.components.errors import INTERNAL, notice
from pages.components.forms import Form, Updates, Values

BUTTONS = {"cancel": "Cancel", "resume": "Resume", "keep": "Keep best checkpoint"}
Draw = Callable[[LabContext, Values], Updates]


def wire(
    lab: LabContext,
    page: Form,
    confirm: Confirm,
    answer: Any,
    draw: Draw,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> None:
    """Wires the three buttons of the page; `draw` gives the updates of its tab, `answer` holds them to a choice."""
    page["cancel"].click(page.reader(ask_to_cancel, lab, confirm), page.inputs(["run"]), confirm.outputs, **INTERNAL)
    page.on(confirm.yes.click, answer(cancel, lab, draw), inputs=inputs, outputs=outputs).then(
        confirm.close, None, confirm.outputs, **INTERNAL
    )
    page.on(page["resume"].click, answer(resume, lab, draw), inputs=inputs, outputs=outputs)
    page.on(page["keep"].click, answer(keep, lab, draw), inputs=inputs, outputs=outputs)


def ask_to_cancel(lab: LabContext, confirm: Confirm, values: Values) -> tuple[Any, Any]:
    view = training.show(lab, open_run(values))
    kept = "checkpoints and completions" if view.rolls_out else "checkpoints"
    return confirm.ask(
        f"Cancel run {view.id} ({view.title})? Its {kept} stay: the run can be resumed later, or its best checkpoint "
        "kept as a model."
    )


def cancel(lab: LabContext, draw: Draw, values: Values) -> Updates:
    training.cancel(lab, open_run(values))
    return draw(lab, values)


def resume(lab: LabContext, draw: Draw, values: Values) -> Updates:
    training.resume(lab, open_run(values))
    return draw(lab, values)


def keep(lab: LabContext, draw: Draw, values: Values) -> Updates:
    training.keep(lab, open_run(values))
    notice("The best checkpoint becomes a model; it appears in the catalogue shortly.")
    return draw(lab, values)


def open_run(values: Values) -> int:
    """The run that is open; raises LabError where none is."""
    if values["run"] is None:
        raise LabError("No run is open; choose one on the tab Runs.")
    return int(values["run"])
