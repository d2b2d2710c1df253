"""The errors that are reported to callers, by subject."""
