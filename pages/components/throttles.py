"""Limits on how often something may be asked; all of them run on the monotonic clock, which nobody can set."""

import threading
import time
from collections import Counter, deque

MOST_KEYS = 10_000


class Throttle:
    """At most `most` events within `seconds`, for each key."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._seen: dict[str, deque[float]] = {}
        self._lock = threading.RLock()

    def wait(self, key: str) -> float:
        """0 and the event is counted, or the seconds until another may come."""
        with self._lock:
            if not (left := self.left(key)):
                self.count(key)
            return left

    def left(self, key: str) -> float:
        """Seconds until another event may come, 0 for now; nothing is counted."""
        with self._lock:
            times, now = self._seen.get(key, deque()), time.monotonic()
            while times and now - times[0] >= self._seconds:
                times.popleft()
            return self._seconds - (now - times[0]) if len(times) >= self._most else 0.0

    def count(self, key: str) -> None:
        with self._lock:
            now = time.monotonic()
            if key not in self._seen and len(self._seen) >= MOST_KEYS:
                self._forget(now)
            self._seen.setdefault(key, deque(maxlen=self._most)).append(now)

    def _forget(self, now: float) -> None:
        """Keys whose time is over, or else the one that came first."""
        self._seen = {key: times for key, times in self._seen.items() if times and now - times[-1] < self._seconds}
        if len(self._seen) >= MOST_KEYS:
            del self._seen[next(iter(self._seen))]


class Shares:
    """At most `most` events within `seconds` for all together, of which no key has more than are left for others.

    So one key alone gets half of them, a second one half of the rest, and there is always something for a new one.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._times: deque[tuple[float, str]] = deque()
        self._counts: Counter[str] = Counter()

    def left(self, key: str) -> float:
        """Seconds until another event may come, 0 for now; nothing is counted."""
        now = time.monotonic()
        while self._times and now - self._times[0][0] >= self._seconds:
            _, other = self._times.popleft()
            self._counts[other] -= 1
            if not self._counts[other]:
                del self._counts[other]
        free = self._most - len(self._times)
        if free > 0 and self._counts[key] < free:
            return 0.0
        return self._seconds - (now - self._times[0][0])

    def count(self, key: str) -> None:
        self._times.append((time.monotonic(), key))
        self._counts[key] += 1


class Backoff:
    """`most` events within `seconds` for all together; each one more doubles the pause, up to `longest`.

    The pause begins anew once nothing has been counted for `quiet` seconds.
    """

    def __init__(self, most: int, seconds: float, longest: float = 300.0, quiet: float = 600.0) -> None:
        self._recent = Throttle(most, seconds)
        self._longest, self._quiet = longest, quiet
        self._pause, self._last, self._until = 0.0, 0.0, 0.0

    def left(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def count(self) -> None:
        now = time.monotonic()
        if now - self._last > self._quiet:
            self._pause = 0.0
        if self._pause or self._recent.left(""):
            self._pause = min(self._longest, 2 * self._pause or 1.0)
            self._until = now + self._pause
        self._recent.count("")
        self._last = now
