"""Deletes the delivery log of a deleted bridge."""

import logging
from functools import partial
from typing import Any

from django.db import transaction

from bridges.models import Bridge
from streams import connections
from synapse.redis import RedisFailure
from synapse.redis.commands import delivery_log

logger = logging.getLogger(__name__)


def delete_log_of(sender: type[Bridge], instance: Bridge, **_: Any) -> None:
    """Delete the log of a bridge that is deleted (a receiver of the signal `post_delete`)."""
    transaction.on_commit(partial(_clear_log, instance.stream.name, instance.group), robust=True)


def _clear_log(stream: str, group: str) -> None:
    try:
        connections.executor().execute([delivery_log.clear(stream, group)])
    except RedisFailure as failure:
        # `manage.py leftovers` lists the log with the other keys of the group.
        logger.warning("the delivery log of the group “%s” of “%s” stays: %s", group, stream, failure.detail)
