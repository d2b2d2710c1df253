"""The Python side of the Deepiri platform's events: `streaming` moves them, `contracts` says what they look like."""

__version__ = "0.1.0"
