"""Sinks: the class they share, their configuration, and those that need no app."""
