"""The pages in the order of the navigation bar, built as one Gradio app."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

if TYPE_CHECKING:
    import gradio as gr

    from genai_lab.context import LabContext

PAGES = (
    "playground", "recipes", "prompts", "datasets", "finetune", "align", "evaluate", "feedback", "models", "jobs",
    "history", "lineage", "backup",
)  # fmt: skip


def build(lab: "LabContext") -> "gr.Blocks":
    """All pages as one Gradio app with a route each."""
    import gradio as gr

    modules: list[Any] = [importlib.import_module(f"pages.{name}") for name in PAGES]
    first, *others = modules
    links = [("Sign out", "sign-in")] if lab.config.owner_password else None
    with _without_own_applications():
        with gr.Blocks(title="genai_lab", fill_width=True, analytics_enabled=False) as demo:
            demo.pages[0] = (first.ROUTE, first.TITLE, True)  # "Home" stands in the bar until the page has loaded
            gr.Navbar(links, main_page_name=first.TITLE)
            first.build(lab)
        for page in others:
            with demo.route(page.TITLE, page.ROUTE):
                gr.Navbar(links, main_page_name=first.TITLE)
                page.build(lab)
        return demo.queue(default_concurrency_limit=8)


@contextmanager
def _without_own_applications() -> Iterator[None]:
    """Keeps Gradio from building a web application at the end of each page; one is mounted later."""
    from gradio.routes import App

    create_app = App.create_app
    App.create_app = staticmethod(lambda *_, **__: None)  # type: ignore[assignment]
    try:
        yield
    finally:
        App.create_app = staticmethod(create_app)  # type: ignore[method-assign]
