"""The names of Synapse's own keys. All keys of a stream have its hash tag, and so the same slot of a cluster."""

import re

from synapse.formats.text import ALERTS_STREAM

# The keys of a group and of a stream that stay until they are deleted. All other keys expire.
_OF_A_GROUP = re.compile(r"syn:\{([^{}]+)\}:(?:(?:due|msg|cnt|lock|dlq|died|log)|queue:[0-9a-z]+):(.+)", re.DOTALL)
_OF_A_STREAM = re.compile(r"syn:\{([^{}]+)\}:(?:stats|pins|took|index(?::[0-9]+)?)")
# The prefix of all keys, as a pattern for SCAN.
OF_STREAMS = "syn:{*"


def owner_of(name: str) -> tuple[str, str] | None:
    """Return the stream and the group ("" for none) to which a key belongs, None for any other key."""
    if found := _OF_A_GROUP.fullmatch(name):
        return found[1], found[2]
    if found := _OF_A_STREAM.fullmatch(name):
        return found[1], ""
    return None


def stats(stream: str) -> str:
    """Hash of a stream's counters."""
    return f"syn:{{{stream}}}:stats"


def durations(stream: str) -> str:
    """Hash of a stream's histograms: the number of samples by "<measured step>:<bucket>:<group>"."""
    return f"syn:{{{stream}}}:took"


def pins(stream: str) -> str:
    """Hash of the times when each group without a bridge last moved, which the janitor keeps."""
    return f"syn:{{{stream}}}:pins"


def watchers(stream: str) -> str:
    """Hash of the number of live viewers of a stream by process, which each process reports every second."""
    return f"syn:{{{stream}}}:live"


def waiting(stream: str, group: str) -> str:
    """Sorted set of the events that a group will get again: entry id by due time in milliseconds."""
    return f"syn:{{{stream}}}:due:{group}"


def messages(stream: str, group: str) -> str:
    """Hash of the copies of the waiting and blocked events, and the state of their attempts."""
    return f"syn:{{{stream}}}:msg:{group}"


def counters(stream: str, group: str) -> str:
    """Hash of a group's counters."""
    return f"syn:{{{stream}}}:cnt:{group}"


def locks(stream: str, group: str) -> str:
    """Hash of an ordered group: the event that has the turn of its key, by the key's digest."""
    return f"syn:{{{stream}}}:lock:{group}"


def queues(stream: str) -> str:
    """The common prefix of the lists of events that are blocked behind another event with the same key. The key's
    digest and the group follow.
    """
    return f"syn:{{{stream}}}:queue:"


def dead_letters(stream: str, group: str) -> str:
    """Stream of the events that no attempt could deliver to a group."""
    return f"syn:{{{stream}}}:dlq:{group}"


def dead_letters_by_event(stream: str, group: str) -> str:
    """Hash of the ids of a group's dead letters, separated by blanks, by the id of their event."""
    return f"syn:{{{stream}}}:died:{group}"


def delivery_log(stream: str, group: str) -> str:
    """Sorted set of lines about a group's events and moves, as `parts/group.lua` writes them."""
    return f"syn:{{{stream}}}:log:{group}"


def reports(stream: str, group: str) -> str:
    """Hash of the consumers' reports by consumer. Each consumer renews its report every second."""
    return f"syn:{{{stream}}}:run:{group}"


def history(stream: str, seconds: int, name: int | str) -> str:
    """A block of a stream's statistics in steps of `seconds`, by its number.

    The stream "" stands for the installation, and "*" for all streams together.
    """
    if stream in ("", "*"):
        return f"syn:past:{'all:' if stream else ''}{seconds}:{name}"
    return f"syn:{{{stream}}}:past:{seconds}:{name}"


def correlation_index(stream: str) -> str:
    """Hash of the indexed range of a stream and of the segments of its index. The key of a segment is this name, a
    colon and its number.
    """
    return f"syn:{{{stream}}}:index"


def refusals(stream: str) -> str:
    """Sorted set of the kinds of a stream's refused events, by the time of the last refusal."""
    return f"syn:{{{stream}}}:refusals"


def refusal_details(stream: str) -> str:
    """Hash of the details of a stream's kinds of refused events."""
    return f"syn:{{{stream}}}:refused"


def idempotency(stream: str, digest: str) -> str:
    """The entry that was stored under an idempotency key, by a digest of the key and its owner."""
    return f"syn:{{{stream}}}:idem:{digest}"


def bucket(kind: str, digest: str) -> str:
    """The number of requests that a caller may still send, by a digest of the caller."""
    return f"syn:rate:{kind}:{digest}"


def ticket(digest: str) -> str:
    """The grant of a ticket for the live tail, by a digest of the ticket."""
    return f"syn:ticket:{digest}"


def probe(number: int) -> str:
    """A key that never exists, for the check whether a node accepts writes."""
    return f"syn:probe:{number}"


def alerts(what: str) -> str:
    """A key of the alerts, in the slot of the stream of alerts, because one script writes to both."""
    return f"syn:{{{ALERTS_STREAM}}}:alerts:{what}"


ALERTS_LEASE = "syn:alerts"
INDEXER_LEASE = "syn:indexer"
JANITOR_LEASE = "syn:janitor"
METRICS_LEASE = "syn:metrics"
SAMPLER_LEASE = "syn:sampler"
# The changes in the latest sample of statistics.
LATEST_SAMPLE = "syn:past:now"
# Hash of the heartbeats of the processes that run bridges.
PROCESSES = "syn:processes"
# Sorted set of publishers: "<stream> <source>" by the time of the last publish in milliseconds.
PUBLISHERS = "syn:publishers"
# Sorted set of the streams that have a correlation index.
INDEXED = "syn:indexed"
# Sorted set with one member: the highest version number of the catalog that was loaded.
CATALOG = "syn:catalog"
