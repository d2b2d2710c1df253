"""Definitions as values, and the catalog file that holds them."""
