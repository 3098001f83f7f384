"""The web layer: everything that answers HTTP except the pages that Gradio draws.

`application.create` builds the FastAPI application; `pages.mount` adds Gradio's app to it.
"""
