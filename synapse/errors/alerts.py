"""Errors of alerts.

Problem
└── UnknownSilence       no silence has this number
"""

from synapse.problems import Problem


class UnknownSilence(Problem, status=404, slug="unknown-silence", title="No silence has this number"):
    """No silence has this number."""
