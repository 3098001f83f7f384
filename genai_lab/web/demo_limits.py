"""How often visitors of a demo may ask."""

import math
import threading

from genai_lab.services.feedback import demos
from genai_lab.web.rate_limits import FairShare, RateLimit

# For one address, which a class or an office may share.
VISITS_PER_MINUTE, VISITORS_PER_ADDRESS, REQUESTS_PER_MINUTE = 30, 10, 600


class DemoLimits:
    """Limits for one visitor, for one address and for everybody together; each method gives the seconds to wait.

    Cookies cost nothing, so each limit on a visitor has one on the address beside it. Of the prompts that are left for
    an hour an address gets at most as many as it has had already, so nobody uses up more than half of them.
    """

    def __init__(self) -> None:
        self._visits = RateLimit(VISITS_PER_MINUTE, 60.0)
        self._requests = RateLimit(REQUESTS_PER_MINUTE, 60.0)
        self._by_visitor: dict[tuple[int, int], RateLimit] = {}
        self._by_address: dict[tuple[int, int], RateLimit] = {}
        self._by_hour: dict[tuple[int, int], FairShare] = {}
        self._lock = threading.Lock()

    def visit(self, address: str) -> float:
        """Seconds until another visitor may come from this address; with 0 the visit is counted."""
        return self._visits.acquire(address)

    def request(self, address: str) -> float:
        """Seconds until this address may send another request; with 0 the request is counted."""
        return self._requests.acquire(address)

    def prompt(self, demo: demos.DemoView, visitor: str, address: str) -> float:
        """Seconds until this visitor may send a prompt; with 0 the prompt is counted."""
        minute, hour = demo.plan.a_minute, demo.plan.an_hour
        with self._lock:
            visitors = self._by_visitor.setdefault((demo.id, minute), RateLimit(minute, 60.0))
            addresses = self._by_address.setdefault((demo.id, minute), RateLimit(minute * VISITORS_PER_ADDRESS, 60.0))
            everybody = self._by_hour.setdefault((demo.id, hour), FairShare(hour, 3600.0))
            if seconds := max(
                visitors.seconds_left(visitor), addresses.seconds_left(address), everybody.seconds_left(address)
            ):
                return seconds
            visitors.count(visitor)
            addresses.count(address)
            everybody.count(address)
            return 0.0


def wait_sentence(seconds: float) -> str:
    time = f"{math.ceil(seconds)} s" if seconds < 90 else f"{math.ceil(seconds / 60)} min"
    return f"Too many requests; try again in {time}."
