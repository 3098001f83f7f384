"""Prompts from templates: four parts in Jinja2, filled with a dataset's rows by a process of its own."""

from genai_lab.prompts.rendering import Filled, Fitted, Rendered, fill, fitting, render, with_shared
from genai_lab.prompts.template import PARTS, Binding, Template, as_slot, bind

__all__ = [
    "PARTS",
    "Binding",
    "Filled",
    "Fitted",
    "Rendered",
    "Template",
    "as_slot",
    "bind",
    "fill",
    "fitting",
    "render",
    "with_shared",
]
