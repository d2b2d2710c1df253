"""CloudEvents generated with a seed, in the JSON Event Format."""

import random
from typing import Any

# Characters of texts: those that stand in headers as they are, and others.
PLAIN = "abcXYZ019-._~!$&'()*+,;=:@/?#[]{}|^`<>\\"
FURTHER = PLAIN + ' "%éß€漢😀\u00a0'


class Generator:
    """Generates events.

    Args:
        seed: of the random numbers.
        is_plain: whether texts of attributes have only characters that stand in headers as they are.
    """

    def __init__(self, seed: int, *, is_plain: bool = False) -> None:
        self._random = random.Random(seed)
        self._characters = PLAIN if is_plain else FURTHER
        self._is_plain = is_plain

    def events(self, count: int, mode: str) -> list[dict[str, Any]]:
        """Return events that a mode can carry: headers have texts alone, and the type of any data."""
        return [self._event(mode, number) for number in range(count)]

    def _event(self, mode: str, number: int) -> dict[str, Any]:
        chance = self._random.random
        event_type = self._random.choice(["com.example.order.placed", "order-lost", "a", "x:y_z"])
        event = {
            "specversion": "1.0",
            "id": f"{mode}-{number}-{self._text()}",
            "source": self._random.choice(
                ["/shop", "urn:shop:1", "https://example.org/a?b=c#d", "shop", self._escaped()]
            ),
            "type": event_type,
            "time": f"20{self._random.randrange(10, 40)}-0{self._random.randrange(1, 10)}-1{self._random.randrange(10)}"
            f"T0{self._random.randrange(10)}:00:{self._random.randrange(10, 60)}.{self._random.randrange(1, 1000):03}Z",
        }
        if chance() < 0.5:
            event["subject"] = self._text()
        if chance() < 0.3:
            event["dataschema"] = "https://example.org/schemas/order.json"
        if mode == "binary" or self._is_plain or chance() < 0.5:
            types = ["application/json"]
            if not self._is_plain:
                types += ["application/vnd.shop+json", "text/json", "application/json; charset=utf-8"]
            event["datacontenttype"] = self._random.choice(types)
        for _ in range(self._random.randrange(5)):
            event[self._name()] = self._extension(mode)
        if chance() < 0.9:
            event["data"] = self._object(3)
            if chance() < 0.2:
                event["data"][self._random.choice(["event_type", "event"])] = event_type
        return event

    def _escaped(self) -> str:
        return "../x" if self._is_plain else "../x%20y"

    def _name(self) -> str:
        return "ext" + "".join(self._random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=6))

    def _text(self) -> str:
        return "".join(self._random.choices(self._characters, k=self._random.randrange(1, 12))).strip() or "x"

    def _extension(self, mode: str) -> Any:
        kinds: list[Any] = [self._text()]
        if mode != "binary":
            kinds += [self._random.randrange(-(2**31), 2**31), self._random.random() < 0.5]
        return self._random.choice(kinds)

    def _object(self, depth: int) -> dict[str, Any]:
        names = ["n", "payload", "source", "timestamp", "id", "data", "sender", "ünïcode", "", "a b"]
        return {name: self._value(depth) for name in self._random.sample(names, self._random.randrange(len(names)))}

    def _value(self, depth: int) -> Any:
        kinds: list[Any] = [None, True, False, 0, 1.5, -2e-7, 2**53 - 1, "", "42", "true", "{}", "null", self._text()]
        if depth:
            kinds += [self._object(depth - 1), [self._value(depth - 1) for _ in range(3)]] * 3
        return self._random.choice(kinds)
