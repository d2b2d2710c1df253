"""Alerts: what is wrong with streams, groups, bridges, keys and Redis, told once to people and to programs.

- `rules`         conditions that can be measured, and the rules that are on from the start
- `subject`       the things that have alerts, and how they are spoken of
- `sentence`      the text for people
"""
