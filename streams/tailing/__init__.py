"""Following streams as they grow: one XREAD loop a stream and process, however many watch it. No Django here.

`Tails` is where one begins: `seat()` for those who want the entries, `bell()` for those who only want to be woken.
"""

from streams.tailing.bell import Bell
from streams.tailing.frames import Frame
from streams.tailing.tail import Tail
from streams.tailing.tails import Tails
from streams.tailing.watcher import Watcher

__all__ = ["Bell", "Frame", "Tail", "Tails", "Watcher"]
