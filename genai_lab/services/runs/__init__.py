"""Runs, whatever their kind: where each of them begins, and what the kinds are."""

from genai_lab.services.runs.recording import begin, end_interrupted
from genai_lab.services.runs.registry import RUN_KINDS, RunKind, RunSummary, address_of, replay, titles

__all__ = ["RUN_KINDS", "RunKind", "RunSummary", "address_of", "begin", "end_interrupted", "replay", "titles"]
