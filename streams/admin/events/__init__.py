"""Pages of events in the admin.

- `explorer`        events of one or many streams, searched by text, filter, type and time; its parts:
  - `explorer_state`      the search, as the query of its address
  - `explorer_form`       the form, with suggested filters and errors
  - `explorer_histogram`  events over time
  - `explorer_rows`       rows and columns
- `saved_views`     searches of the explorer that people keep
- `find`            one event by an id in it
- `messages`        one event, and a stream's groups
- `event_pages`     one event as a program that publishes it, and the difference of two
- `test_event`      publish a test event, or a stored event again
- `event_import`    files of events, checked and stored
"""
