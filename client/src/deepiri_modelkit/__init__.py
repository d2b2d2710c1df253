"""The Python client for events of the Deepiri platform: `streaming` transports events, `contracts` models them."""

__version__ = "0.1.0"
