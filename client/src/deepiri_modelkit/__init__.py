"""The Python client of the Deepiri platform's events: `streaming` transports events, `contracts` models them."""

__version__ = "0.1.0"
