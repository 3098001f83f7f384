"""The engine of genai_lab: everything that the pages and the command line do."""

__version__ = "0.1.0"
