"""Recipes: experiments that run as they stand."""

from pages.recipes.page import ROUTE as ROUTE
from pages.recipes.page import TITLE as TITLE
from pages.recipes.page import build as build
