"""The child process of a handler: loads the handler, and calls it with each batch until the parent ends.

Started by `process.py` as `python -m bridges.handlers.child CHANNEL BOARD ORDER`.
"""

import os
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

import django
import orjson
from django.contrib import admin

from core.database import close_stale_connections
from synapse.delivery import handlers
from synapse.delivery.handlers import (
    BEGUN,
    RAISED,
    TAKEN,
    Handle,
    HandlerOptions,
    SharedProgress,
    pack_fact,
    text_of,
    unpack_batch,
)
from synapse.delivery.sink import Delivery
from synapse.errors.delivery import SinkDisabled, SinkError
from synapse.tracing.attachment import attach_context

# Files that are skipped in tracebacks, so that errors name the handler's own line.
_OWN_FILES = os.path.dirname(__file__)


def main() -> None:
    """Run the child process from its command line."""
    channel = Connection(int(sys.argv[1]))
    order = HandlerOptions(**orjson.loads(sys.argv[3]))
    board = SharedProgress(int(sys.argv[2]), order.size)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Ctrl-C reaches all processes of a terminal, but the parent decides when the work ends. Not SIG_IGN, which
        # programs started by the handler would inherit.
        signal.signal(number, lambda *_: None)
    # The admin is half of what Django would load, and handlers do not need it.
    admin.autodiscover = lambda: None
    try:
        django.setup()
        function = handlers.load_handler(order.handler, order.allowed)
    except BaseException as error:
        channel.send_bytes(pack_fact("broken", text=_explain_error(error)))
        return
    channel.send_bytes(pack_fact("ready"))
    serve_batches(channel, board, function, order)


def serve_batches(channel: Connection, board: SharedProgress, function: Any, order: HandlerOptions) -> None:
    """Handle batches until the parent ends."""
    handle = handlers.call_with_batch(function) if order.batch else handlers.call_with_event(function)
    parent = os.getppid()
    threading.Thread(target=_end_with_parent, args=(parent, order.timeout), daemon=True).start()
    while True:
        try:
            batch = unpack_batch(channel.recv_bytes())
        except (EOFError, OSError):
            return
        close_stale_connections()
        if order.batch:
            if not board.stopped:
                _handle_deliveries(channel, board, handle, batch, 0)
        else:
            for place, delivery in enumerate(batch):
                # If the parent was killed, another consumer has the events now.
                if board.stopped or os.getppid() != parent:
                    break
                _handle_deliveries(channel, board, handle, [delivery], place)
        channel.send_bytes(pack_fact("end"))


def _handle_deliveries(
    channel: Connection, board: SharedProgress, handle: Handle, deliveries: list[Delivery], place: int
) -> None:
    board.set_outcome(place, BEGUN)
    try:
        # A call with several events has no trace context, because each event has its own.
        with attach_context(deliveries[0].trace if len(deliveries) == 1 else None):
            handle(deliveries)
    except BaseException as error:
        channel.send_bytes(pack_fact("raised", place=place, text=_explain_error(error), **_advice_of(error)))
        board.set_outcome(place, RAISED)
    else:
        board.set_outcome(place, TAKEN)


def _advice_of(error: BaseException) -> dict[str, Any]:
    """Return the advice in a handler's error: that it is permanent, when to retry (seconds), or to disable the
    bridge.
    """
    if not isinstance(error, SinkError):
        return {}
    after = error.retry_after
    return {
        "permanent": bool(error.permanent),
        "retry_after": float(after) if isinstance(after, int | float) else None,
        "disables": isinstance(error, SinkDisabled),
    }


def _explain_error(error: BaseException) -> str:
    if isinstance(error, SinkError):
        return text_of(error).partition(": ")[2] or text_of(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OWN_FILES)]
    own = [frame for frame in frames if "importlib" not in frame.filename]
    if isinstance(error, handlers.BadHandler) or not own:
        return str(error) if isinstance(error, handlers.BadHandler) else text_of(error)
    return text_of(error, where=f"{os.path.basename(own[-1].filename)}, line {own[-1].lineno}")


def _end_with_parent(parent: int, patience: float) -> None:
    """End this process `patience` seconds after its parent was killed, even if the handler hangs."""
    while os.getppid() == parent:
        time.sleep(1)
    time.sleep(patience)
    os._exit(1)


if __name__ == "__main__":
    main()
