"""Pull over HTTP (`POST /v1/read` and related routes), for services that cannot reach Redis.

Publish, read and ack follow the protocol of a sidecar that programs of the platform already use (`docs/pull.md`); nack
and extend are additions of Synapse. A bridge with the sink `pull` defines a pulled group: its events, their retries and
their order.
"""
