"""Alerts on streams, groups, bridges, keys and Redis, each reported once to people and to programs.

- `rules`         conditions that can be measured, and the rules that are on from the start
- `subject`       the things that can have alerts, their names, and the sentences for people
- `definitions`   a rule's settings; rules, silences and the things that are watched, at one version of the catalog
- `recent`        the sampled series of the last five minutes
- `measurement`   the value of each condition now
- `state`         from ok to pending, firing and resolved
- `event`         alerts as JSON, and as events of the stream of alerts; notifications, at most one a rule and minute
- `evaluator`     the step that one process takes after each sample
"""
