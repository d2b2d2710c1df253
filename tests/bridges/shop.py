"""Handlers for the tests, as in a user's module of handlers. Each writes down the events that it got."""

import asyncio
import os
import signal
import sys
import time
from functools import partial
from os import _exit
from pathlib import Path

from synapse.errors.delivery import SinkDisabled, SinkError


def write_down(event, delivery):
    """Add a line to the file that the environment names. What a handler returns means nothing."""
    with Path(os.environ["SHOP_FILE"]).open("a") as file:
        file.write(f"{delivery.id} {delivery.attempt} {delivery.event_type or '-'} {event.get('n', '-')}\n")
    return {"nonsense": object()}


def write_down_slowly(event, delivery):
    """As `write_down`, but no faster than a killer can see."""
    write_down(event, delivery)
    time.sleep(0.0001)


async def write_down_later(event, delivery):
    await asyncio.sleep(0)
    write_down(event, delivery)


returns_an_awaitable = partial(write_down_later)
returns_an_awaitable.__module__ = __name__


def write_down_many(events, deliveries):
    for event, delivery in zip(events, deliveries, strict=True):
        write_down(event, delivery)


def moody(event, delivery):
    """Do what the event says, in its first so many attempts, before it is written down."""
    match event.get("mood") if delivery.attempt <= event.get("times", 1) else None:
        case "raise":
            raise ValueError("no such\nproduct \x1b[2J")
        case "refuse":
            raise SinkError("this order never works", permanent=True)
        case "exit":
            sys.exit(3)
        case "die":
            _exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            begun().touch()
            time.sleep(3600)
        case "wait":
            begun().touch()
            _wait_for(may_go_on())
        case "meet":
            _meet_two_others(delivery)
        case "later":
            raise SinkError("closed for lunch", retry_after=1800)
        case "close":
            raise SinkDisabled("the shop is closed for good")
    write_down(event, delivery)


def begun():
    """Return the file that is there once an event was begun."""
    return Path(os.environ["SHOP_FILE"]).with_suffix(".begun")


def may_go_on():
    """Return the file whose creation lets a waiting handler go on."""
    return Path(os.environ["SHOP_FILE"]).with_suffix(".go-on")


def _wait_for(file):
    while not file.exists():
        time.sleep(0.001)


def _meet_two_others(delivery):
    """Return when three handlers run at once; a handler that stays alone is ended by its bridge."""
    here = Path(os.environ["SHOP_FILE"]).with_suffix(".here")
    here.mkdir(exist_ok=True)
    (here / delivery.id).touch()
    while len(list(here.iterdir())) < 3:
        time.sleep(0.001)


def nothing(event, delivery):
    pass


def _private(event, delivery):
    pass


number = 7
