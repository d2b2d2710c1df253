"""A pulling consumer, as the platform's programs do it: JSON in, JSON out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from streams.snapshot import holder
from tests.both_ways import Answer

STREAM, GROUP = "orders", "warehouse"
PLACE = (STREAM, GROUP)


@dataclass
class Puller:
    """A consumer of the group."""

    ask: Callable[..., Answer]
    name: str = "worker-1"
    group: str = GROUP

    def post(self, verb: str, **members: Any) -> Answer:
        """Send a request with these members, after refreshing the server's catalog."""
        holder.refresh()
        return self.ask("POST", f"/v1/{verb}", orjson.dumps({"stream": STREAM, **members}))

    def publish(self, n: int, event_type: str = "order-placed", **payload: Any) -> str:
        """Publish an event and return its id."""
        answer = self.post("publish", event_type=event_type, payload={"n": n, **payload})
        assert answer.status == 200, answer.body
        entry_id: str = answer.json["entry_id"]
        return entry_id

    def read(self, **members: Any) -> list[dict[str, Any]]:
        """Take events, without waiting."""
        answer = self.post(
            "read", **{"consumer_group": self.group, "consumer_name": self.name, "block_ms": 0, **members}
        )
        assert answer.status == 200, answer.body
        events: list[dict[str, Any]] = answer.json["events"]
        return events

    def ids(self, **members: Any) -> list[str]:
        """Take events and return their ids."""
        return [event["entry_id"] for event in self.read(**members)]

    def tell(self, verb: str, *ids: str, **members: Any) -> Any:
        """Say something of events in hand."""
        answer = self.post(verb, consumer_group=self.group, entry_ids=list(ids), **members)
        assert answer.status == 200, answer.body
        return answer.json

    def ack(self, *ids: str) -> int:
        """Settle events and return how many still were to be."""
        acked: int = self.tell("ack", *ids)["acked"]
        return acked
