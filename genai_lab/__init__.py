"""The engine of genai_lab: everything that the pages and the command line do."""

import os

__version__ = "0.1.0"

# Torch's threads wait for one another by turning in place. Beside another process that does so too, each keeps the
# other from the core that it waits for, and a training step takes several times as long (benchmarks/contention.py).
# Read when torch is first imported, here and in every worker; whoever has set it keeps it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
