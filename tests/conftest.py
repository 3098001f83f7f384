"""One thread a process: the tests run several processes at once, and their models are small."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
