"""What long-running processes ask of Python's garbage collector."""

import gc


def spare() -> None:
    """Keep the collector from walking all of Django again and again: what is there now, after the start, is no garbage.

    A process that makes some hundred objects for each request or event stood still for 70 ms once a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
