"""The connections to Redis, live tails and shares of this process, created from the settings on first use."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from streams.snapshot import holder
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.correlation.digests import Digests
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.live import Frame, Tails, sse
from synapse.live.frame_cache import FrameCache
from synapse.publishing import body
from synapse.publishing.counters import StreamCounters
from synapse.redis import AsyncExecutor, Conversation, Job, Server, SyncExecutor, together
from synapse.redis.async_executor import do_in_a_thread
from synapse.redis.command import K
from synapse.redis.commands.streams import Entry
from synapse.shares.counter import Limits, Shares, limits
from synapse.shares.fair_pool import FairPool, FairQueue
from synapse.shares.resources import RESOURCES, Resource

# Seconds that a write which waits for the disk or for replicas may take longer than others.
LONGEST_WAIT = 1.5

counters = StreamCounters()
# The queues of large requests: of batches, by their bytes, and of long reads of messages, by their number.
LARGE_BATCHES, LONG_READS = "large batches", "reads of many messages"
QUEUES = {
    name: FairQueue(name, capacity=capacity, patience=10.0)
    for name, capacity in ((LARGE_BATCHES, body.MAX_BATCH_BYTES), (LONG_READS, 4))
}
durable_async_executors: dict[int, AsyncExecutor] = {}


def server() -> Server:
    """Return the Redis server named by the settings."""
    return Server(locate=import_string(settings.REDIS_LOCATOR), timeout=settings.REDIS_TIMEOUT)


@cache
def executor() -> SyncExecutor:
    """Return the executor of this process's threads."""
    return SyncExecutor(server())


@cache
def async_executor() -> AsyncExecutor:
    """Return the executor of this process's event loop."""
    return AsyncExecutor(server(), jobs=do_job)


@cache
def job_pool() -> FairPool:
    """Return the pool that runs jobs of the event loop. It has one thread, because all jobs wait for one child
    process.
    """
    one = Limits(total=1, per_caller=1, per_address=1, anonymous=1)
    return FairPool("jobs", threads=one, requests=shares_of("costly-events"))


async def do_job(job: Job) -> list[Any]:
    """Run a job when it is its caller's turn.

    Raises:
        ShareUsedUp, AllInUse: when too many jobs wait, of this caller or of all callers.
    """
    if job.caller is None:
        return await do_in_a_thread(job)
    return await job_pool().run(job.caller, job.work)


@cache
def durable_executor() -> SyncExecutor:
    """Return the executor of this process's threads for commands that wait for replicas or the disk."""
    return SyncExecutor(server(), timeout=settings.REDIS_TIMEOUT + LONGEST_WAIT)


def durable_async_executor(replicas: int) -> AsyncExecutor:
    """Return the event loop's executor for commands that wait for a number of replicas; 0: for the disk.

    Such a wait delays all later commands of its connection, so each number of replicas has its own executor.
    """
    if replicas not in durable_async_executors:
        patient = replace(server(), timeout=settings.REDIS_TIMEOUT + LONGEST_WAIT)
        durable_async_executors[replicas] = AsyncExecutor(patient, jobs=do_job)
    return durable_async_executors[replicas]


def executor_for(stream: StreamDefinition | None) -> SyncExecutor:
    """Return the executor that publishes to a stream in a thread."""
    return executor() if stream is None or stream.durability == "server" else durable_executor()


def async_executor_for(stream: StreamDefinition | None) -> AsyncExecutor:
    """Return the executor that publishes to a stream on the event loop."""
    if stream is None or stream.durability == "server":
        return async_executor()
    return durable_async_executor(stream.replicas if stream.durability == "replicated" else 0)


def close_async_executors() -> None:
    """Close the event loop's connections; they are opened again when they are needed."""
    async_executor().close()
    for durable in durable_async_executors.values():
        durable.close()


def blocking_executor(seconds: float) -> SyncExecutor:
    """Return a new executor for reads that block up to `seconds`; a dead socket is noticed 5 seconds later."""
    return SyncExecutor(server(), timeout=seconds + 5)


def ask_all(conversations: Mapping[K, Conversation[Any]]) -> dict[K, Any]:
    """Run conversations with Redis, and return the result of each, or the problem that ended it. So pages can be shown
    while Redis is unavailable.
    """
    try:
        found = executor().run(together(conversations, failures=FAILURES))
    except FAILURES as failure:
        # The executor failed before any conversation began, for instance because the locator knows no server.
        found = dict.fromkeys(conversations, failure)
    return {key: problem_of(each) if isinstance(each, FAILURES) else each for key, each in found.items()}


@cache
def digests() -> Digests:
    """Return the function object that computes digests for the indexes of events."""
    return Digests(blake2b(settings.SECRET_KEY.encode(), digest_size=32, person=b"synapse index").digest())


@cache
def shares_of(name: str) -> Shares:
    """Return the shares of a resource, by its name in `RESOURCES`."""
    resource = RESOURCES[name]
    return Shares(resource, limits_of(resource))


def all_shares() -> list[Shares]:
    """Return the shares of all resources, for the metrics."""
    return [shares_of(name) for name in RESOURCES]


def limits_of(resource: Resource) -> Limits:
    """Return the limits of a resource from the settings."""
    total = getattr(settings, resource.attribute) * resource.unit
    percents = settings.SHARES.get(resource.name, resource.percents)
    return limits(total, percents, is_open=settings.AUTH == "open")


@cache
def tails() -> Tails:
    """Return the tails of this process's event loop: one XREAD loop per stream, shared by viewers and waiting reads.
    Wait for new entries without reading them like this:

        with tails().bell("orders") as bell:
            while not (found := await look()) and await bell.wait(seconds):
                pass

    `streams.live` reads the entries themselves.
    """
    return Tails(server(), render, shares=shares_of("live-seats"))


@cache
def _frame_cache() -> FrameCache:
    """Return the cache of the frames that this process's event loop rendered last."""
    return FrameCache(lambda stream, entry, catalog: sse.frame_of(stream, entry, catalog.display_definition(stream)))


def render(stream: str, entry: Entry) -> Frame:
    """Return an entry as a frame for viewers, decoded by the stream's contracts. Call it only on the event loop."""
    return _frame_cache().frame_of(stream, entry, holder.current())
