"""Actions of people on a group, among those of its consumers: move it, delete it, redrive its dead letters."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import groups as group_commands
from tests.bridges.cast import PLACE, made_by_us
from tests.delivery.machine import Places
from tests.delivery.model import Model, Waiting, order


class PlacesAndPeople(Places):
    """All moves there are."""

    @precondition(lambda self: self.model.keys)
    @rule(
        data=st.data(),
        forget=st.booleans(),
        twice=st.booleans(),
        skips=st.integers(1, 4),
        looks=st.integers(1, 4),
    )
    def move(self, data: st.DataObject, forget: bool, twice: bool, skips: int, looks: int) -> None:
        """Give the group another place, in parts of any size."""
        model = self.model
        target = data.draw(st.sampled_from(["0-0", *sorted(model.keys), group_commands.END]))
        place = max(model.keys, key=order) if target == group_commands.END else target
        moved = self.move_in_parts(target, forget_owed=forget, skips=skips, looks=looks)
        unread = model.beyond(place)
        again = [id_ for id_ in model.owed() if id_ in unread]
        gone = [id_ for id_ in model.owed() if order(id_) <= order(place) and forget]
        passed = [id_ for id_ in model.unread if id_ not in unread]
        assert moved == (len(passed) + len(gone), len(again))
        model.instances += len(set(unread).difference(model.unread, again))
        model.skipped += len(passed) + len(gone)
        model.drop([*again, *gone])
        model.ends |= dict.fromkeys([*passed, *gone], "skipped")
        model.unread = unread
        if twice:
            assert self.move_in_parts(target, forget_owed=forget, skips=skips, looks=looks) == (0, 0)

    def move_in_parts(self, target: str, **options: Any) -> tuple[int, int]:
        skipped = again = 0
        cursor: str | None = None
        while cursor != "":
            command = group_commands.move(*PLACE, target, cursor=cursor or "", actor="anna", logs=self.logs, **options)
            part = self.send(command)
            skipped, again, cursor = skipped + part.skipped, again + part.again, part.cursor
        return skipped, again

    @rule(force=st.booleans(), twice=st.booleans())
    def delete(self, force: bool, twice: bool) -> None:
        """Delete the group; a new one of its name gets all that the stream has."""
        model = self.model
        owed = (bool(model.unread), len(model.pending), len(model.waiting), len(model.parked), len(model.dead))
        command = group_commands.delete(*PLACE, lively_ms=0, force=force)
        found = self.send(command)
        assert (found.unread, found.pending, found.waiting, found.parked, found.dead) == owed
        assert found.deleted == (force or not any(owed))
        if found.deleted:
            if twice:
                assert self.send(command).deleted
            assert list(self.redis.scan_iter("syn:*")) == []
            made_by_us(self.redis)
            self.model = Model(keys=model.keys, deleted=model.deleted)
            self.model.unread = self.model.beyond("0-0")
            self.model.instances = len(self.model.unread)

    @precondition(lambda self: self.model.dead)
    @rule(data=st.data(), discard=st.booleans(), twice=st.booleans())
    def deal_with_a_dead_letter(self, data: st.DataObject, discard: bool, twice: bool) -> None:
        event_id = data.draw(st.sampled_from(sorted(set(self.model.dead))))
        letters = self.send(dead_letter_commands.letters(*PLACE, count=1000))
        letter = next(one for one in letters if one.event_id == event_id)
        if not discard and (event_id in self.model.unread or event_id in self.model.owed()):
            # Moved back, the group has the event once more: whether both come or one is not promised.
            return
        self.model.dead.remove(event_id)
        if discard:
            assert self.send(dead_letter_commands.discard(*PLACE, [letter.id], actor="anna", logs=self.logs)) == 1
            self.model.discarded += 1
            self.model.ends[event_id] = "discarded"
        else:
            command = dead_letter_commands.replay(*PLACE, [(letter.id, b"")], actor="anna", logs=self.logs)
            assert self.send(command) == ["retry"]
            self.model.waiting[event_id] = Waiting(0)
            if twice:
                assert self.send(command) == ["gone"]
