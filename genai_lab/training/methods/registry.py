"""The methods by name; old names are still found."""

from genai_lab.registry import Registry
from genai_lab.training.method import Method
from genai_lab.training.plan import RENAMED_METHODS

METHODS: Registry[Method] = Registry("method", "genai_lab.training.methods", RENAMED_METHODS)
