"""Limits on how often something may happen; all of them use the monotonic clock, which nobody can set."""

import threading
import time
from collections import Counter, deque

MAX_KEYS = 10_000


class RateLimit:
    """At most `limit` events within `seconds`, for each key."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit, self._seconds = limit, seconds
        self._times: dict[str, deque[float]] = {}
        self._lock = threading.RLock()

    def acquire(self, key: str) -> float:
        """0 where the event may happen, which counts it, or the seconds until the next one may."""
        with self._lock:
            if not (seconds := self.seconds_left(key)):
                self.count(key)
            return seconds

    def seconds_left(self, key: str) -> float:
        """Seconds until the next event may happen, 0 for at once; nothing is counted."""
        with self._lock:
            times, now = self._times.get(key, deque()), time.monotonic()
            while times and now - times[0] >= self._seconds:
                times.popleft()
            return self._seconds - (now - times[0]) if len(times) >= self._limit else 0.0

    def count(self, key: str) -> None:
        with self._lock:
            now = time.monotonic()
            if key not in self._times and len(self._times) >= MAX_KEYS:
                self._drop_expired(now)
            self._times.setdefault(key, deque(maxlen=self._limit)).append(now)

    def _drop_expired(self, now: float) -> None:
        """Drops keys without recent events, or the first key where there are none."""
        self._times = {key: times for key, times in self._times.items() if times and now - times[-1] < self._seconds}
        if len(self._times) >= MAX_KEYS:
            del self._times[next(iter(self._times))]


class FairShare:
    """At most `limit` events within `seconds` for all keys together; no key has more of them than are left for others.

    One key alone gets half of them, a second key half of the remainder, and there is always something for a new key.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit, self._seconds = limit, seconds
        self._times: deque[tuple[float, str]] = deque()
        self._counts: Counter[str] = Counter()

    def seconds_left(self, key: str) -> float:
        """Seconds until the next event may happen, 0 for at once; nothing is counted."""
        now = time.monotonic()
        while self._times and now - self._times[0][0] >= self._seconds:
            _, other = self._times.popleft()
            self._counts[other] -= 1
            if not self._counts[other]:
                del self._counts[other]
        free = self._limit - len(self._times)
        if free > 0 and self._counts[key] < free:
            return 0.0
        return self._seconds - (now - self._times[0][0])

    def count(self, key: str) -> None:
        self._times.append((time.monotonic(), key))
        self._counts[key] += 1


class Backoff:
    """`limit` events within `seconds`; each further event doubles the pause, up to `longest` seconds.

    The pause starts over once nothing has been counted for `quiet` seconds.
    """

    def __init__(self, limit: int, seconds: float, longest: float = 300.0, quiet: float = 600.0) -> None:
        self._recent = RateLimit(limit, seconds)
        self._longest, self._quiet = longest, quiet
        self._pause, self._last, self._until = 0.0, 0.0, 0.0

    def seconds_left(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def count(self) -> None:
        now = time.monotonic()
        if now - self._last > self._quiet:
            self._pause = 0.0
        if self._pause or self._recent.seconds_left(""):
            self._pause = min(self._longest, 2 * self._pause or 1.0)
            self._until = now + self._pause
        self._recent.count("")
        self._last = now
