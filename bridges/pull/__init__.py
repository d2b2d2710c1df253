"""Pull over HTTP: `POST /v1/read` and what goes with it, for services that only have Synapse's address.

The protocol of publish, read and ack is that of a sidecar which programs of the platform speak already
(`docs/pull.md`); nack and extend are Synapse's own. Which events, and what becomes of them, is a bridge's matter: a
group that is pulled is one whose sink is `pull`.
"""
