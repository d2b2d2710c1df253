"""A call to a cluster: its commands go to the nodes with their keys, and its replies are returned in order.

A command that a node redirects (MOVED, ASK) was not executed, so it is sent to the node that has the slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.crc import key_slot

from synapse.redis.address import NodeAddress
from synapse.redis.cluster.topology import Topology
from synapse.redis.command import Argument, Command
from synapse.redis.errors import QueueFull, RedisUnavailable, ReplyError, ReplyLost

# Commands without a key. Any node can answer the first; PING is sent to all nodes, because each has to answer; the
# others belong to the commands before or after them.
ANY_NODE = frozenset(("TIME", "INFO", "CONFIG"))
EVERY_NODE = frozenset(("PING",))
WITH_THE_NEXT = frozenset(("MULTI",))
WITH_THE_LAST = frozenset(("EXEC", "WAIT", "WAITAOF"))
# Commands whose key is not their second word.
_THIRD = frozenset(("XGROUP", "XINFO"))
_SCRIPTS = frozenset(("EVALSHA", "EVAL"))
# Each XREAD here reads one stream: its name and the id are the last words.
_READS = frozenset(("XREAD", "XREADGROUP"))
_NOT_IN_A_CLUSTER = frozenset(("SCAN",))
KEYLESS = ANY_NODE | EVERY_NODE | WITH_THE_NEXT | WITH_THE_LAST


def slot_of(command: Command) -> int | None:
    """Return the slot of the command's first key, None for a command without any.

    All keys of one command have the same slot, because the keys of a stream have its name as their hash tag.

    Raises:
        ValueError: for a command that a single node cannot answer.
    """
    words = command.words
    name = words[0]
    if name in KEYLESS:
        return None
    if name in _NOT_IN_A_CLUSTER:
        raise ValueError(f"{name} is not sent to a cluster")
    if name in _SCRIPTS:
        return _slot_of_key(words[3])
    if name in _READS:
        return _slot_of_key(words[-2])
    return _slot_of_key(words[2] if name in _THIRD else words[1])


def _slot_of_key(key: Argument) -> int:
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


# The greatest number of redirections of a command. Each node may know a later one; more than this is a circle.
MOST_HOPS = 5
_ASKING = Command(("ASKING",))
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Batch:
    """The commands for one node, and their indexes in the call.

    `asking` tells the node to answer although it does not own their slot yet.
    """

    node: NodeAddress
    commands: tuple[Command, ...]
    places: tuple[int, ...]
    asking: bool = False


def only_node(commands: Sequence[Command], topology: Topology) -> NodeAddress | None:
    """Return the one node that has all keys of the commands, None when there are several nodes or no key."""
    found = {slot for command in commands if (slot := slot_of(command)) is not None}
    nodes = {topology.place_of(slot) for slot in found}
    return nodes.pop() if len(nodes) == 1 and EVERY_NODE.isdisjoint(c.words[0] for c in commands) else None


class Call:
    """One call to several nodes.

    Send the batches of `first_batches` and pass the reply to each to `take_replies`; then do the same with
    `take_resends` until it is empty. `replies` returns all replies.
    """

    def __init__(self, commands: Sequence[Command], topology: Topology) -> None:
        self._commands = commands
        self._topology = topology
        self._replies: list[Any] = [_MISSING] * len(commands)
        self._failures: list[RedisUnavailable] = []
        self._resends: dict[tuple[NodeAddress, bool], list[int]] = {}
        self._hops = 0

    def first_batches(self) -> list[Batch]:
        """Return the batches for the nodes.

        Raises:
            RedisUnreachable: when no node is known to have a slot.
        """
        places: dict[NodeAddress, list[int]] = {}
        nodes = self._nodes_of_commands()
        for place, those in enumerate(nodes):
            for node in those:
                places.setdefault(node, []).append(place)
        return [self._make_batch(node, found) for node, found in places.items()]

    def as_batch_for(self, node: NodeAddress) -> Batch:
        """Return the whole call as one batch for a single node."""
        return self._make_batch(node, range(len(self._commands)))

    def take_replies(self, batch: Batch, answer: list[Any] | RedisUnavailable) -> None:
        """Take the replies of a node, or the exception in their place."""
        if isinstance(answer, RedisUnavailable):
            if not isinstance(answer, QueueFull):
                self._topology.mark_doubtful()
            self._failures.append(answer)
            # Other nodes may still answer the rest of the call: only these commands are refused.
            answer = [ReplyError(f"CLUSTERDOWN {answer.detail}")] * len(batch.places)
        sent_on: set[int] = set()
        for place, reply in zip(batch.places, answer, strict=True):
            if place not in sent_on and (target := self._redirect_target(batch.node, reply)) is not None:
                those = self._transaction_of(place, batch)
                sent_on.update(those)
                self._resends.setdefault(target, []).extend(those)
        for place, reply in zip(batch.places, answer, strict=True):
            if place not in sent_on or self._hops == MOST_HOPS:
                self._replies[place] = self._worse_reply(place, reply)
        if sent_on and self._commands[-1].barrier:
            for those in self._resends.values():
                if len(self._commands) - 1 not in those:
                    those.append(len(self._commands) - 1)

    def take_resends(self) -> list[Batch]:
        """Return the batches to send to other nodes next."""
        waiting, self._resends = self._resends, {}
        if self._hops == MOST_HOPS:
            return []
        self._hops += 1
        return [self._make_batch(node, places, asking=asking) for (node, asking), places in waiting.items()]

    def replies(self) -> list[Any]:
        """Return the replies in the order of the commands.

        Raises:
            RedisUnavailable: when no node could be used, or the outcome on one of them is unknown.
        """
        unknown = [failure for failure in self._failures if isinstance(failure, ReplyLost)]
        answered = any(not _is_down(reply) for reply in self._replies)
        if self._failures and (unknown or not answered):
            raise [*unknown, *self._failures][0]
        return self._replies

    def _nodes_of_commands(self) -> list[list[NodeAddress]]:
        """Return the nodes for each command."""
        found: list[list[NodeAddress]] = []
        nearby: list[NodeAddress] = []
        for place, command in enumerate(self._commands):
            name = command.words[0]
            if name in EVERY_NODE:
                found.append(self._topology.places())
                continue
            if name in WITH_THE_NEXT:
                nearby = [self._place_of(self._commands[place + 1])]
            elif name in ANY_NODE:
                found.append(nearby or [self._any_place()])
                continue
            elif name not in WITH_THE_LAST:
                nearby = [self._place_of(command)]
            found.append(nearby)
        return found

    def _any_place(self) -> NodeAddress:
        """Return a node that the call uses anyway, if there is one: another node may be down."""
        with_keys = (slot for command in self._commands if (slot := slot_of(command)) is not None)
        slot = next(with_keys, None)
        return self._topology.places()[0] if slot is None else self._topology.place_of(slot)

    def _place_of(self, command: Command) -> NodeAddress:
        slot = slot_of(command)
        if slot is None:
            raise ValueError(f"{command.words[0]!r} cannot stand there in a call to a cluster")
        return self._topology.place_of(slot)

    def _make_batch(self, node: NodeAddress, places: Sequence[int], *, asking: bool = False) -> Batch:
        commands = [self._commands[place] for place in places]
        if asking:
            # Send the text of a script at once: a repetition after NOSCRIPT would need another ASKING.
            commands = [command.otherwise or command for command in commands]
        return Batch(node, tuple(commands), tuple(places), asking)

    def _redirect_target(self, node: NodeAddress, reply: Any) -> tuple[NodeAddress, bool] | None:
        """Return the node that a reply redirects to, and whether for this command only (ASK). None for any other
        reply.
        """
        if not isinstance(reply, ReplyError) or reply.code not in ("MOVED", "ASK"):
            return None
        _, slot, where = str(reply).split()[:3]
        host, _, port = where.rpartition(":")
        target = (host or node[0], int(port))
        if reply.code == "MOVED":
            self._topology.move_slot(int(slot), target)
        return target, reply.code == "ASK"

    def _transaction_of(self, place: int, batch: Batch) -> Sequence[int]:
        """Return the indexes to send again together with a command: its whole transaction, which was not executed."""
        names = {other: self._commands[other].words[0] for other in batch.places}
        begins = [other for other in batch.places if other <= place and names[other] == "MULTI"]
        ends = [other for other in batch.places if other >= place and names[other] == "EXEC"]
        if not begins or not ends or any(begins[-1] < other < place and names[other] == "EXEC" for other in names):
            return [place]
        return range(begins[-1], ends[0] + 1)

    def _worse_reply(self, place: int, reply: Any) -> Any:
        """Return the reply of a command that counts, of those of two nodes: an error, or the lower count of a
        barrier.
        """
        before = self._replies[place]
        if before is _MISSING or isinstance(reply, ReplyError):
            return reply
        if self._commands[place].barrier and not isinstance(before, ReplyError):
            return min(before, reply)
        return before


def words_of(batch: Batch) -> list[Command]:
    """Return the commands to send. With `asking`, ASKING precedes each command, and a transaction once."""
    if not batch.asking:
        return list(batch.commands)
    sent: list[Command] = []
    inside = False
    for command in batch.commands:
        if not inside and not command.barrier:
            sent.append(_ASKING)
        sent.append(command)
        inside = (inside or command.words[0] == "MULTI") and command.words[0] != "EXEC"
    return sent


def replies_of(sent: Sequence[Command], replies: Sequence[Any]) -> list[Any]:
    """Return the replies without those to ASKING."""
    return [reply for command, reply in zip(sent, replies, strict=True) if command is not _ASKING]


def _is_down(reply: Any) -> bool:
    return reply is _MISSING or (isinstance(reply, ReplyError) and reply.code == "CLUSTERDOWN")
