"""Bridges: the delivery of events to sinks, groups, dead letters, and `manage.py consume`."""
