"""Costs of checking events against schemas, in steps of about ten nanoseconds, as upper bounds."""
