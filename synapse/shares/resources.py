"""Every shared resource. Settings, their documentation and the metrics are derived from this table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Percents(NamedTuple):
    """The shares in percent of the whole: for one caller, and for all anonymous callers together."""

    caller: int
    anonymous: int


_QUARTERS = Percents(caller=25, anonymous=25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A limited resource.

    Attributes:
        name: Its name in settings, metrics and problem documents.
        things: Its units in the plural, for sentences.
        total_setting: The environment variable with the total amount.
        default: The total when the variable is not set.
        highest: The greatest valid value of the variable.
        meaning: The meaning of the variable, for the documentation.
        unit: The number of counted units in one unit of the setting (1024 * 1024 when the setting counts MiB).
        percents: The shares that `SYNAPSE_SHARES` overrides. With open access, every caller is anonymous: then all
            together may have the whole, and an address half of it or more.
        is_of_process: Whether each process counts its own use; otherwise rows of the database are counted, for all
            processes.
        retry_after: The seconds after which a refused caller may try again.
    """

    name: str
    things: str
    total_setting: str
    default: int
    highest: int = 10_000
    meaning: str
    unit: int = 1
    percents: Percents = _QUARTERS
    is_of_process: bool = True
    retry_after: int = 1

    @property
    def attribute(self) -> str:
        """The name of `total_setting` in Django's settings."""
        return self.total_setting.removeprefix("SYNAPSE_")


RESOURCES: Mapping[str, Resource] = {
    resource.name: resource
    for resource in (
        Resource(
            name="open-connections",
            things="connections",
            total_setting="SYNAPSE_CONNECTIONS",
            default=4000,
            highest=1_000_000,
            meaning="How many connections each web server process holds at a time.",
        ),
        Resource(
            name="body-memory",
            things="memory for the bodies of requests",
            total_setting="SYNAPSE_BODY_MEMORY",
            default=128,
            highest=1024 * 1024,
            meaning="MiB of memory for the larger bodies of requests, for each web server process.",
            unit=1024 * 1024,
            percents=Percents(caller=16, anonymous=8),
        ),
        Resource(
            name="live-seats",
            things="connections that watch streams live",
            total_setting="SYNAPSE_LIVE_WATCHERS",
            default=1000,
            highest=100_000,
            meaning="How many connections may watch streams live at a time, for each web server process.",
            percents=Percents(caller=25, anonymous=5),
            retry_after=5,
        ),
        Resource(
            name="event-exports",
            things="exports of events",
            total_setting="SYNAPSE_EXPORTS",
            default=16,
            meaning="How many exports of events each web server process sends at a time.",
            retry_after=5,
        ),
        Resource(
            name="django-threads",
            things="threads of Django",
            total_setting="SYNAPSE_DJANGO_THREADS",
            default=8,
            highest=256,
            meaning="How many requests Django answers at a time, for each web server process.",
            percents=Percents(caller=50, anonymous=25),
        ),
        Resource(
            name="django-requests",
            things="requests that Django answers",
            total_setting="SYNAPSE_DJANGO_REQUESTS",
            default=512,
            highest=100_000,
            meaning="How many requests may wait for Django's threads or have one, for each web server process.",
            retry_after=2,
        ),
        Resource(
            name="password-requests",
            things="requests that check or set a password",
            total_setting="SYNAPSE_PASSWORD_REQUESTS",
            default=32,
            meaning="How many log-ins and changes of passwords may wait; one is processed at a time.",
            percents=Percents(caller=25, anonymous=75),
            retry_after=5,
        ),
        Resource(
            name="code-requests",
            things="downloads of Python code",
            total_setting="SYNAPSE_CODE_REQUESTS",
            default=16,
            meaning="How many downloads of a contract's Python code may wait; one is processed at a time.",
            retry_after=5,
        ),
        Resource(
            name="pull-groups",
            things="groups that reads have opened",
            total_setting="SYNAPSE_PULL_GROUPS",
            default=2000,
            highest=1_000_000,
            meaning="How many groups reads may open in the whole installation.",
            percents=Percents(caller=5, anonymous=5),
            is_of_process=False,
            retry_after=60,
        ),
        Resource(
            name="schema-requests",
            things="requests that check or compare a schema",
            total_setting="SYNAPSE_SCHEMA_REQUESTS",
            default=64,
            meaning="How many requests that check or compare a schema may wait; one is processed at a time.",
            retry_after=5,
        ),
        Resource(
            name="costly-events",
            things="requests with costly events",
            total_setting="SYNAPSE_COSTLY_EVENTS",
            default=64,
            meaning="How many requests with costly events may wait for their check, for each web server process; one is"
            " processed at a time.",
        ),
        Resource(
            name="back-test-requests",
            things="back-tests",
            total_setting="SYNAPSE_BACK_TEST_REQUESTS",
            default=16,
            meaning="How many back-tests of schemas may wait; one is processed at a time.",
            retry_after=10,
        ),
    )
}


def read_percents(text: str) -> dict[str, Percents]:
    """Parse shares that override those of the table: `connections=50:10,live-seats=40:5`.

    Raises:
        ValueError: when a resource is unknown, or a share is no percentage.
    """
    found: dict[str, Percents] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, shares = part.partition("=")
        numbers = shares.split(":")
        if (
            name not in RESOURCES
            or len(numbers) != len(Percents._fields)
            or not all(number.isascii() and number.isdigit() and 1 <= int(number) <= 100 for number in numbers)
        ):
            raise ValueError(
                "RESOURCE=CALLER:ANONYMOUS in percent from 1 to 100, separated by commas, such as "
                f"live-seats=50:10; the resources are {', '.join(RESOURCES)}"
            )
        found[name] = Percents(*map(int, numbers))
    return found
