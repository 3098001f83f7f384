"""Every form that starts something shows at most seven fields before its button; the rest stands under Details."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

import pages
from genai_lab.context import LabContext

MOST = 7
# The buttons that start something new, by elem_id.
STARTS = (
    "mx-run", "ev-suite-run", "ev-run", "ev-systems-run", "ev-file-run", "local-add", "adapter-add", "endpoint-add",
    "hub-add",
    "grid-run", "best-run",   "ft-start", "fb-draw", "fb-from-runs", "fb-import", "fb-demo-make",
    "ds-import",  "st-bake",  "st-start-shots", "st-sweep", "st-forgot", "st-gate",
)  # fmt: skip
FIELDS = (
    gr.Textbox, gr.Dropdown, gr.Number, gr.Slider, gr.Checkbox, gr.CheckboxGroup, gr.Radio, gr.File,
)  # fmt: skip


@pytest.fixture(scope="module")
def demo(lab: LabContext) -> gr.Blocks:
    """All pages as one Gradio app."""
    return pages.build(lab)


@pytest.fixture(scope="module")
def every(demo: gr.Blocks) -> list[Any]:
    """All blocks of all pages, in the order in which they stand."""
    return list(_walk(demo))


def _walk(block: Any) -> Iterator[Any]:
    for child in getattr(block, "children", []):
        yield child
        yield from _walk(child)


def _above(block: Any) -> list[Any]:
    ancestors = []
    while (block := block.parent) is not None:
        ancestors.append(block)
    return ancestors


def _scope(button: Any) -> Any:
    """The part of the page that the form fills: the tab or the open accordion that its button stands in, or all."""
    above = _above(button)
    return next((candidate for candidate in above if isinstance(candidate, gr.Tab) or _opened(candidate)), above[-1])


def _opened(block: Any) -> bool:
    return isinstance(block, gr.Accordion) and block.open


def _seen(field: Any, scope: Any, button: Any) -> bool:
    """Whether it is shown as the page opens: nothing closed, hidden or in another tab between it and the scope."""
    above = _above(field)
    between = above[: above.index(scope)]
    beside = [candidate for candidate in between if isinstance(candidate, gr.Tab) and candidate not in _above(button)]
    closed = any(isinstance(candidate, gr.Accordion) and not candidate.open for candidate in between)
    hidden = any(getattr(candidate, "visible", True) is not True for candidate in [field, *between])
    return not (beside or closed or hidden)


def _fields_before(every: list[Any], button: Any) -> list[str]:
    scope = _scope(button)
    before = every[: every.index(button)]
    return [
        str(candidate.label)
        for candidate in before
        if isinstance(candidate, FIELDS)
        and scope in _above(candidate)
        and candidate.label
        and _seen(candidate, scope, button)
    ]


@pytest.mark.parametrize("name", STARTS)
def test_at_most_seven_fields_stand_before_the_start(every: list[Any], name: str) -> None:
    button = next((candidate for candidate in every if getattr(candidate, "elem_id", None) == name), None)
    assert button is not None, f"no button {name}; a form that was renamed or left belongs in this list"
    labels = _fields_before(every, button)
    assert len(labels) <= MOST, labels


def test_the_walk_counts_what_is_seen_and_nothing_else() -> None:
    with gr.Blocks() as demo, gr.Tabs():
        with gr.Tab("One"):
            gr.Textbox(label="elsewhere")
        with gr.Tab("Two"):
            gr.Textbox(label="first")
            gr.Textbox(label="hidden", visible=False)
            with gr.Accordion("Details", open=False):
                gr.Textbox(label="closed")
            with gr.Row():
                gr.Number(label="second")
            button = gr.Button("Start")
            gr.Textbox(label="after")
    assert _fields_before(list(_walk(demo)), button) == ["first", "second"]


def test_only_queued_handlers_change_a_state_that_others_listen_to(demo: gr.Blocks) -> None:
    """Gradio tells a State's `change` event of answers from its queue only: a click would draw nothing."""
    events = demo.fns.values()
    heard = {block for event in events for block, name in event.targets if name == "change"}
    states = {block for block in heard if isinstance(demo.blocks.get(block), gr.State)}
    deaf = [event.targets for event in events if not event.queue for output in event.outputs if output._id in states]

    assert states
    assert not deaf
