"""The composition root: settings, urls, the front door, the embedded Redis, `up` and `serve`. Imported by no app."""
