"""What glibc's heap holds beyond what is alive: the allocator's own arithmetic, on sizes alone.

With `TUNABLES` in a process's environment every block below 32 MiB comes from one heap that never shrinks: the smallest
free piece that is large enough (at the lowest address among equals) is cut, neighbours that are free are joined, and
what does not fit anywhere goes on top. Larger blocks are mapped on their own and given back at once. Left to itself
glibc keeps more, in several heaps and in places that nobody can foresee, and is no faster.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable

LARGE = 32 * 2**20
TUNABLES = ":".join(
    f"glibc.malloc.{name}={value}"
    for name, value in {
        "arena_max": 1,
        "mmap_threshold": LARGE,
        "trim_threshold": 2**30,
        "tcache_count": 0,
        "mxfast": 0,
    }.items()
)
HEADER, ALIGNED = 16, 64
Event = tuple[int, int]


class Heap:
    """`peak` is the most that the process has held, in bytes: the heap's top and the mapped blocks at that moment."""

    def __init__(self) -> None:
        self.top = self.mapped = self.peak = 0
        self._free: list[tuple[int, int]] = []  # (size, address), sorted
        self._begins: dict[int, int] = {}  # address -> size of free pieces
        self._ends: dict[int, int] = {}  # end -> address of free pieces
        self._blocks: dict[int, tuple[int, int]] = {}  # id -> (address, size); address -1: mapped

    def replay(self, events: Iterable[Event]) -> None:
        """Births are (id, bytes), deaths (id, -1)."""
        for block, size in events:
            self.die(block) if size < 0 else self.live(block, size)

    def live(self, block: int, size: int) -> None:
        if not size or block in self._blocks:
            return
        if size >= LARGE:
            self._blocks[block] = -1, size
            self.mapped += size
        else:
            self._blocks[block] = self._taken(-(-(size + HEADER) // ALIGNED) * ALIGNED)
        self.peak = max(self.peak, self.top + self.mapped)

    def die(self, block: int) -> None:
        address, size = self._blocks.pop(block, (0, 0))
        if address < 0:
            self.mapped -= size
        elif size:
            self._give(address, size)

    def alive(self) -> list[int]:
        return list(self._blocks)

    def _taken(self, size: int) -> tuple[int, int]:
        # An aligned block is cut out of one that is somewhat larger.
        index = bisect_left(self._free, (size + ALIGNED, 0))
        if index == len(self._free):
            return self._on_top(size)
        free_size, address = self._free.pop(index)
        del self._begins[address], self._ends[address + free_size]
        if free_size > size:
            self._keep(address + size, free_size - size)
        return address, size

    def _on_top(self, size: int) -> tuple[int, int]:
        """The piece below the top, if it is free, is used first."""
        address = self._ends.get(self.top, self.top)
        if address < self.top:
            self._drop(address, self.top - address)
        self.top = address + size
        return address, size

    def _give(self, address: int, size: int) -> None:
        before = self._ends.get(address)
        if before is not None:
            self._drop(before, address - before)
            address, size = before, size + address - before
        after = self._begins.get(address + size)
        if after is not None:
            self._drop(address + size, after)
            size += after
        self._keep(address, size)

    def _keep(self, address: int, size: int) -> None:
        insort(self._free, (size, address))
        self._begins[address], self._ends[address + size] = size, address

    def _drop(self, address: int, size: int) -> None:
        del self._free[bisect_left(self._free, (size, address))]
        del self._begins[address], self._ends[address + size]
