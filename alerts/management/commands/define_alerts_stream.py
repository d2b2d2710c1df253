"""`manage.py define_alerts_stream`: define the stream of alerts, so that bridges can deliver them."""

from typing import Any

from alerts.stream import define_stream
from streams.management.base import AnsweringCommand
from synapse.auth.principal import SYSTEM
from synapse.formats.text import ALERTS_STREAM


class Command(AnsweringCommand):
    help = "Define the stream synapse-alerts with its event types and contracts, so that bridges can carry alerts."

    def answer(self, options: dict[str, Any]) -> int:
        made = define_stream(by=SYSTEM)
        self.stdout.write(f"The stream {ALERTS_STREAM} {'is defined now' if made else 'is there already'}.")
        return 0
