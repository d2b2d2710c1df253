"""How often: so many in so long."""

import re
from dataclasses import dataclass

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_FORM = re.compile(r"([1-9][0-9]{0,8})/([smh])")


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` in `seconds`: as many at once, and then as they come back one by one, evenly."""

    count: int
    seconds: int

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _SECONDS.items() if seconds == self.seconds)
        return f"{self.count}/{unit}"


def read(text: str) -> Rate:
    """Return the rate of a text such as `100/s`, `6000/m` or `10000/h`.

    Raises:
        ValueError: when it is none.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("a rate such as 100/s, 6000/m or 10000/h")
    return Rate(int(found[1]), _SECONDS[found[2]])
