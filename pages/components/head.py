"""The head of a page, its empty state and small pieces of static text; every word is escaped."""

import html
import re
from abc import ABCMeta
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import gradio as gr

from pages.components.theme import ASSETS

PLAIN = ["plain"]


def escaped_html(value: Any = "", **options: Any) -> gr.HTML:
    """What `html_template` draws: `{{value.name}}` is text, whatever it holds; `options` go to gr.HTML.

    Handlebars escapes what it is given for HTML, and Gradio then evaluates the result as a JavaScript template literal:
    `${...}` in a text would run, a backslash be lost. So both are escaped for that second reading.
    """
    return _escaping()(escape_template_text(value), apply_default_css=False, **options)


@cache
def _escaping() -> type[gr.HTML]:
    """gr.HTML with texts escaped on their way out, and read back on their way in.

    It is a class because Gradio builds a component anew from its class when a property of it is updated. It is made
    without Gradio's own metaclass, which would write a stub file beside this one, and keeps the name that the browser
    knows the component by.
    """
    methods = {
        "__module__": gr.HTML.__module__,
        "__doc__": gr.HTML.__doc__,
        "postprocess": lambda _, value: escape_template_text(value),
        "preprocess": lambda _, payload: unescape_template_text(payload),
    }
    return ABCMeta.__new__(type(gr.HTML), gr.HTML.__name__, (gr.HTML,), methods)


def escape_template_text(value: Any) -> Any:
    """Every text in the value as a template must be given it: see `escaped_html`."""
    return _each(value, lambda text: re.sub(r"[\\$]", r"\\\g<0>", text))


def unescape_template_text(payload: Any) -> Any:
    """The reverse, for what the browser sends."""
    return _each(payload, lambda text: re.sub(r"\\([\\$])", r"\1", text))


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """The value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each(item, change) for key, item in value.items()}
    return [_each(item, change) for item in value] if isinstance(value, (list, tuple)) else value


def page_head(title: str, sentence: str) -> gr.HTML:
    """The page's name and the one sentence on what it is for."""
    markup = f'<div class="page-head"><h1>{html.escape(title)}</h1><p>{html.escape(sentence)}</p></div>'
    return gr.HTML(markup, apply_default_css=False, elem_classes=PLAIN, js_on_load=None)


def section(title: str, sentence: str = "") -> gr.HTML:
    """A heading within a page."""
    more = f"<p>{html.escape(sentence)}</p>" if sentence else ""
    markup = f'<div class="section-head"><h2>{html.escape(title)}</h2>{more}</div>'
    return gr.HTML(markup, apply_default_css=False, elem_classes=PLAIN, js_on_load=None)


def empty_state_markup(title: str, next_step: str) -> str:
    return f'<div class="empty-state"><b>{html.escape(title)}</b><p>{html.escape(next_step)}</p></div>'


def empty_state(title: str, next_step: str, visible: bool = True, elem_id: str | None = None) -> gr.HTML:
    """What stands where nothing is yet; `next_step` says what to do."""
    return gr.HTML(
        empty_state_markup(title, next_step),
        apply_default_css=False,
        elem_classes=PLAIN,
        js_on_load=None,
        visible=visible,
        elem_id=elem_id,
    )


def style_sheet(name: str) -> str:
    """A style sheet of the assets, with those that it imports."""
    return re.sub(r'@import "(\w+\.css)";\n', lambda match: style_sheet(match[1]), (ASSETS / name).read_text())


def html_part(
    value: Any,
    template: str,
    elem_id: str,
    script: str | None = None,
    classes: Sequence[str] = PLAIN,
    *,
    sheet: str,
) -> gr.HTML:
    """A part of a page drawn by a template; `sheet` is a style sheet of the assets."""
    return escaped_html(
        value,
        html_template=template,
        css_template=style_sheet(sheet),
        js_on_load=script,
        elem_id=elem_id,
        elem_classes=list(classes),
    )
