"""The embedded Redis: a Valkey server of our own on this machine, for installations without `REDIS_URL`.

Only `manage.py up` starts one. It outlives the process that started it, is adopted by the next `up`, and is never
doubled: the server process itself holds a lock on its folder for as long as it lives. Every other process finds it with
`recorded_endpoint`.
"""

from synapse.redis.embedded.endpoint import EmbeddedRedisError, Endpoint, recorded_endpoint
from synapse.redis.embedded.server import EmbeddedRedis
