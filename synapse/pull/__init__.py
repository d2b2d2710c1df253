"""Consumers that read over HTTP: requests, acknowledgements, answers."""
