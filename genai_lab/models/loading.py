"""Weights are read by one thread at a time.

While transformers reads a model it replaces methods of the class that all models have, such as `tie_weights`. Two
threads at it together lose tied weights, and can leave the replacement in place for as long as the process lives.
"""

from threading import RLock

READING = RLock()
