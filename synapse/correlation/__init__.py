"""Finding events by an identifier: their entry id, Idempotency-Key, trace id, or a property that their stream declares.

- `digests`   the ids of an event, and their digests
- `segments`  the parts of an index, as bytes
- `indexer`   reads streams in the background, and writes their indexes
- `search`    finds the events with a given id, over many streams
"""
