"""What a run trains: one method a file, from all weights to a few virtual tokens."""

from genai_lab.registry import Registry
from genai_lab.training.method import Method as Method
from genai_lab.training.plan import RENAMED_METHODS

METHODS: Registry[Method] = Registry("method", __name__, RENAMED_METHODS)
