"""Delivering a group's events into a sink: worker, dispatcher, retries."""
