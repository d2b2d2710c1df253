"""`manage.py issue_key SERVICE`: issue a key for a service and print it once."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.utils import timezone

from streams.access import key_issuance
from streams.management.base import AnsweringCommand
from synapse.auth.key_rights import WORDS
from synapse.auth.principal import SYSTEM
from synapse.formats import durations


class Command(AnsweringCommand):
    help = (
        "Issue a key for a service and print it, once: only a digest of it is kept. The key has the rights of "
        "the service's grants, and its scopes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("service", help="the service's name, as in the catalog")
        parser.add_argument("--label", default="", help="what the key is for, in your words")
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            help=f"what more it may do: {', '.join(WORDS)}; or publish:PATTERN and read:PATTERN, which narrow what the "
            "grants allow. May be given several times",
        )
        parser.add_argument(
            "--expires-in",
            type=_parse_life,
            help="for how long the key is valid, in ISO 8601, such as P90D (default: for ever)",
        )

    def answer(self, options: dict[str, Any]) -> int:
        life: timedelta | None = options["expires_in"]
        issued = key_issuance.issue(
            options["service"],
            by=SYSTEM,
            label=options["label"],
            scopes=options["scope"],
            expires_at=None if life is None else timezone.now() + life,
        )
        self.say(f"The key {issued.key.key_id} of {issued.key.service.name}. It is shown only now:")
        self.stdout.write(issued.text)
        return 0


def _parse_life(text: str) -> timedelta:
    try:
        found = durations.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    if found <= timedelta(0):
        raise ArgumentTypeError("it would have expired already")
    return found
