"""Following streams as they grow: one XREAD loop a stream and process, for any number of watchers.

The entry point is `Tails`: `join()` for connections that read the entries, `bell()` for callers that only wait for new
ones.
"""

from synapse.live.sse import Frame, Gap, Item
from synapse.live.tail import Tail
from synapse.live.tail_registry import Tails
from synapse.live.watcher import StreamSignal, Subscription, Watcher
