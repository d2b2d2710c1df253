"""Requests and answers of HTTP as values."""
