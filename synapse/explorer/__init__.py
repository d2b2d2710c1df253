"""The explorer: one search over many streams, merged by time.

- `merge`      the entries of several streams in one order, read in few round trips
- `cursor`     where a search continues: one position for each stream, as a text
- `histogram`  the found events over time
- `search`     `GET /events`, and the conversation behind it
"""
