"""The explorer: one search over many streams, merged by time.

- `merge`      the entries of several streams in one order, read in few round trips
- `cursor`     the position at which a search continues in each stream, as one text
- `histogram`  the found events over time
- `search`     `GET /events`, and the conversation behind it
"""
