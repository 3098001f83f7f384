"""The reward-hacking card: signals, one a file, and a verdict by a fixed rule."""

from genai_lab.alignment.hacking.completions import BeforeAndAfter, HeldOutCompletions
from genai_lab.alignment.hacking.signal import SIGNALS, Reading, Signal
from genai_lab.alignment.hacking.verdict import Change, HackingCard, SignalResult, decide, examine, read_signals

__all__ = [
    "SIGNALS",
    "BeforeAndAfter",
    "Change",
    "HackingCard",
    "HeldOutCompletions",
    "Reading",
    "Signal",
    "SignalResult",
    "decide",
    "examine",
    "read_signals",
]
