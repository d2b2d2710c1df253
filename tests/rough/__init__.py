"""Clients, servers and changes that do what they should not: real processes, and others who go on meanwhile."""
