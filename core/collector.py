"""What long-running processes ask of Python's garbage collector."""

import gc


def spare() -> None:
    """Keep the collector from walking all of Django again and again: what is there now, after the start, is no garbage.

    A process that makes some hundred objects for each request or event stood still for 70 ms once a second.
    """
    gc.collect()
    gc.freeze()
    # While it looks, no thread runs, and a thousand objects take half a millisecond. So it looks at few young ones at a
    # time: with 50,000, pages of the admin let the event loop stand still for 40 ms.
    gc.set_threshold(5_000, 3, 500)
