"""Misbehaving clients, servers and changes: real processes, with well-behaved clients beside them."""
