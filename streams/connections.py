"""The connections to Redis, live tails and shares of this process, made from the settings at their first use."""

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

# Additional seconds for a write that waits for the disk or for replicas.
LONGEST_WAIT = 1.5

counters = StreamCounters()
# The queues of large requests: large batches, of which this many bytes are processed at a time, and long reads of
# messages.
LARGE_BATCHES, LONG_READS = "large batches", "reads of many messages"
QUEUES = {
    name: FairQueue(name, capacity=capacity, patience=10.0)
    for name, capacity in ((LARGE_BATCHES, body.MAX_BATCH_BYTES), (LONG_READS, 4))
}
durable_async_executors: dict[int, AsyncExecutor] = {}


def server() -> Server:
    """Return the server of the events, as the project's settings name it."""
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
    """Return the pool for the jobs of the event loop: one thread, because all jobs wait for one child process."""
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
    """Return the executor of this process's threads for commands that wait for replicas, or for the disk."""
    return SyncExecutor(server(), timeout=settings.REDIS_TIMEOUT + LONGEST_WAIT)


def durable_async_executor(replicas: int) -> AsyncExecutor:
    """Return the event loop's executor for commands that wait for `replicas`, or with 0 for the disk.

    Such a wait delays all later commands of its connection, so each number has a connection of its own.
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
    """Return an executor of its own for reads that block up to `seconds`: a dead socket is noticed 5 s later."""
    return SyncExecutor(server(), timeout=seconds + 5)


def ask_all(conversations: Mapping[K, Conversation[Any]]) -> dict[K, Any]:
    """Hold the conversations with Redis, and return the result of each, or the problem that ended it.

    So a page is shown also when Redis is unavailable.
    """
    try:
        found = executor().run(together(conversations, failures=FAILURES))
    except FAILURES as failure:
        # Raised before anything could be asked, such as by a locator that knows of no server.
        found = dict.fromkeys(conversations, failure)
    return {key: problem_of(each) if isinstance(each, FAILURES) else each for key, each in found.items()}


@cache
def digests() -> Digests:
    """Return what makes the digests in the indexes of events."""
    return Digests(blake2b(settings.SECRET_KEY.encode(), digest_size=32, person=b"synapse index").digest())


@cache
def shares_of(name: str) -> Shares:
    """Return the counter of a resource, by its name in the table."""
    resource = RESOURCES[name]
    return Shares(resource, limits_of(resource))


def all_shares() -> list[Shares]:
    """Return the counters of all resources, for the metrics."""
    return [shares_of(name) for name in RESOURCES]


def limits_of(resource: Resource) -> Limits:
    """Return the limits of a resource by the settings."""
    total = getattr(settings, resource.attribute) * resource.unit
    percents = settings.SHARES.get(resource.name, resource.percents)
    return limits(total, percents, is_open=settings.AUTH == "open")


@cache
def tails() -> Tails:
    """Return the tails of this process's event loop: one XREAD loop a stream, shared by its viewers and waiting reads.

    To be woken by new entries without reading them:

        with tails().bell("orders") as bell:
            while not (found := await look()) and await bell.wait(seconds):
                pass

    To watch the entries: see `streams.live`.
    """
    return Tails(server(), render, shares=shares_of("live-seats"))


@cache
def _frames() -> FrameCache:
    """Return the frames that this process's event loop rendered last."""
    return FrameCache(lambda stream, entry, catalog: sse.frame_of(stream, entry, catalog.display_definition(stream)))


def render(stream: str, entry: Entry) -> Frame:
    """Return an entry as a frame for viewers, read by the stream's contracts. Called on the event loop alone."""
    return _frames().frame_of(stream, entry, holder.current())
