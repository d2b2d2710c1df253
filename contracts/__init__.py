"""Contracts: JSON Schemas that events must satisfy, and their versions."""
