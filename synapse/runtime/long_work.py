"""Progress lines of work that takes long."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

EVERY = 5.0


@contextmanager
def told(say: Callable[[str], object], what: str, *, every: float = EVERY) -> Iterator[None]:
    """Tell every five seconds, while the block lasts, for how long it has: nothing of what takes less."""
    is_over = threading.Event()

    def tell() -> None:
        began = time.monotonic()
        while not is_over.wait(every):
            with suppress(OSError):  # a terminal that is gone
                say(f"{what}: {time.monotonic() - began:.0f} s so far.")

    teller = threading.Thread(target=tell, name="long-work", daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_over.set()
        teller.join()
