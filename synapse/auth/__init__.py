"""Principals, their rights and scopes, API keys and client addresses."""
