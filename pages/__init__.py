"""The pages of the web app.

Each module has TITLE, ROUTE ("" for the first page, else one word) and build(lab), which draws the page where it is
called and wires its events. Gradio is imported after its analytics have been turned off.
"""

from pages.navigation import PAGES, build

__all__ = ["PAGES", "build"]
