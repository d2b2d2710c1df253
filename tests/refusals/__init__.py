"""Refused events by kind: noted, shown, and safe to keep."""
