"""The embedded Redis: a Valkey server that Synapse starts on this machine, for installations without `REDIS_URL`.

Only `manage.py up` starts one. It outlives the process that started it, and the next `up` adopts it. There are never
two on the same folder, because the server process itself holds a lock on it. Every other process finds the server with
`read_endpoint`.
"""

from synapse.redis.embedded.endpoint import EmbeddedRedisError, Endpoint, read_endpoint
from synapse.redis.embedded.server import EmbeddedRedis
