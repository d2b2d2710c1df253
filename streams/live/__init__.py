"""Watching a stream live: `GET /streams/{stream}/live`, as server-sent events. `docs/live-tail.md` is the guide."""
