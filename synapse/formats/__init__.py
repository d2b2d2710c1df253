"""Formats of texts and values: strict and exact JSON, names, durations, rates."""
