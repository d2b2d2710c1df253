"""Pull over HTTP: `POST /v1/read` and what goes with it, for services that only have Synapse's address.

The protocol of publish, read and ack is that of a sidecar which programs of the platform speak already
(`docs/pull.md`); nack and extend are Synapse's own. A bridge with the sink `pull`
defines a pulled group: its events, their retries and their order.
"""
