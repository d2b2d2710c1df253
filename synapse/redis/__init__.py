"""Every Redis command that Synapse sends, and nothing else. No other package imports `redis`.

Commands are values (`commands/`): they are built, and their replies parsed, without any I/O. Two executors run them:
`SyncExecutor` for views, commands and bridges, `AsyncExecutor` for the event loop.
"""

from synapse.redis import lean_import
from synapse.redis.async_executor import AsyncExecutor
from synapse.redis.command import (
    MANY,
    Command,
    Conversation,
    Job,
    answer,
    answer_or,
    ask,
    map_cooperatively,
    together,
    value,
)
from synapse.redis.connection import Server
from synapse.redis.errors import (
    RedisFailure,
    RedisRefused,
    RedisUnavailable,
    RedisUnreachable,
    ReplyError,
    ReplyLost,
    WrongType,
)
from synapse.redis.sync_executor import SyncExecutor
