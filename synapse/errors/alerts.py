"""Errors of alerts.

Problem
└── UnknownSilence       no silence has this number
"""

from synapse.problems import Problem


class UnknownSilence(Problem):
    """No silence has this number."""

    status = 404
    slug = "unknown-silence"
    title = "No silence has this number"
