"""Following streams as they grow: one XREAD loop a stream and process, however many watch it.

`Tails` is where one begins: `seat()` for those who want the entries, `bell()` for those who only want to be woken.
"""

from synapse.live.sse import Frame
from synapse.live.tail import Tail
from synapse.live.tail_registry import Tails
from synapse.live.watcher import Bell, Watcher

__all__ = ["Bell", "Frame", "Tail", "Tails", "Watcher"]
