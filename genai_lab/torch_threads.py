"""Settings of torch's threads, made on import: torch reads them when it is first imported, here and in every worker."""

import os

# Torch's threads wait for one another by spinning. Beside another process that does so too, each keeps the other from
# the core that it waits for, and a training step takes several times as long (benchmarks/contention.py). A value that
# is set already stays.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
