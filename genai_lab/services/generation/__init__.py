"""Generations as runs: started, watched, recorded, replayed. What a page streams is what the database remembers."""

from genai_lab.services.generation.live import ActiveGenerations, Live, active_generations, cancel, merge_streams
from genai_lab.services.generation.records import (
    KIND,
    GenerationSpec,
    RunView,
    Stats,
    begin_run,
    group_runs,
    run,
    stats_from,
    stats_of,
    view_of,
)
from genai_lab.services.generation.starting import TRACED, generate, prefix_text, replay, start, start_many

__all__ = [
    "KIND",
    "TRACED",
    "ActiveGenerations",
    "GenerationSpec",
    "Live",
    "RunView",
    "Stats",
    "active_generations",
    "begin_run",
    "cancel",
    "generate",
    "group_runs",
    "merge_streams",
    "prefix_text",
    "replay",
    "run",
    "start",
    "start_many",
    "stats_from",
    "stats_of",
    "view_of",
]
