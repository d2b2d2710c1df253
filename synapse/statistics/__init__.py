"""Statistics with history: numbers of streams and groups are sampled every five seconds and kept for thirty days.

- `series`      every series: its name, its unit, and where its values come from
- `block`       sixty values of each series of a stream, packed
- `storage`     resolutions, and the commands that keep and read blocks
- `collection`  the values of one moment: one pipeline for all streams
- `totals`      what of all streams lies in one block, for the overview
- `sampler`     the step that one process takes every five seconds
- `history`     values over a time range
- `query`       `GET /stats`
"""
