"""Pages of events in the admin.

- `explorer`        events of one or many streams, found by text, filter, type and time
- `explorer_state`  the search that an address of the explorer names
- `explorer_rows`   its rows and columns
- `saved_views`     searches of the explorer that people keep
- `find`            one event by an id that it carries
- `messages`        one event, and a stream's groups
- `event_pages`     one event as a program, and the difference of two
- `test_event`      publish a test event, or an event again
- `event_import`    files of events, checked and stored
"""
