"""The composition root: settings, urls, the front door, the embedded Redis, `up` and `serve`. Imported by no app."""

# Shown by `manage.py --version` and in the OpenAPI document.
VERSION = "0.1.0"
