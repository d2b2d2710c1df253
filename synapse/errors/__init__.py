"""Every error that callers are told, by subject."""
