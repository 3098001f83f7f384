"""Links to recipes, on the first screen and on the pages that run their plans."""

import html

import gradio as gr

from genai_lab.recipes import Recipe, all_recipes
from pages.components.head import PLAIN, style_sheet


def address_of(recipe: Recipe) -> str:
    return f"/recipes?recipe={recipe.name}"


def recipe_links(page: str = "") -> gr.HTML:
    """One line of links: to every recipe, or to those that the form of `page` runs."""
    recipes = [recipe for recipe in all_recipes() if page in ("", recipe.page)]
    return gr.HTML(
        links_markup(recipes),
        css_template=style_sheet("recipes.css"),
        apply_default_css=False,
        elem_classes=PLAIN,
        js_on_load=None,
    )


def links_markup(recipes: list[Recipe]) -> str:
    links = "".join(
        f'<li><a href="{address_of(recipe)}" title="{html.escape(recipe.question, quote=True)}">'
        f"{html.escape(recipe.title)}</a></li>"
        for recipe in recipes
    )
    return f'<div class="recipe-links"><b>Recipes</b><ul aria-label="Recipes">{links}</ul></div>'
