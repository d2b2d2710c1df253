"""Statistics with history: numbers of streams and groups are sampled every five seconds and kept for thirty days.

- `series`      every series: its name, its unit, and where its values come from
- `block`       sixty values of each series of a stream, packed
- `storage`     resolutions, and the commands that keep and read blocks
- `collection`  the values of one moment: one pipeline for all streams
- `totals`      the totals of all streams, in one block, for the overview
- `sampler`     the step that one process takes every five seconds
- `history`     values over a time range, read from blocks; `rows` computes them
- `latest`      the changes of the latest sample, for viewers
- `overview`    the history of all streams for the first page, and what needs attention
- `health`      the words for the health of a stream, a group or a bridge
- `charts`      the charts of a stream and of a group
- `marks`       the lag of groups, computed without reading their streams
- `query`       `GET /stats`
"""
