"""Optimistic locking of forms: a form carries digests of the state it shows, and is not saved over a newer one.

The state is what the form can write: the initial values of its fields, and the rows edited with it. A digest of each
lets a refusal name the differences and show them line by line. A column that no person edits, such as the last log-in,
is not part of the state.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from itertools import accumulate, islice
from typing import Any, ClassVar, Literal

import orjson
from django import forms
from django.db.models import Model
from django.utils.crypto import constant_time_compare, salted_hmac

from core import audit
from core.models import AuditEntry
from synapse.formats import exact_json
from synapse.formats.text import cut

# The equal lines that are shown before and after a difference. At least GAP further ones are collapsed into one row.
AROUND = 4
GAP = 4
# At most this many lines of each text are shown for one difference, and this many rows altogether.
MOST_OF_BLOCK, MOST_ROWS = 1_000, 4_000
# At most this many pairs of equal lines are compared, which takes half a second. Repeated lines make many pairs, and
# publishers choose the lines of events.
MOST_COMPARED = 3_000_000
_EACH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceLine:
    """A line of both texts ("same"), of the old one ("old") or of the new one ("new"); or a "gap" of equal lines.

    "cut" stands for changed lines that are not shown, and "coarse" comes first where lines shown as changed may be
    equal, because the texts could not be compared to their end.

    `before`, `changed` and `after` are the parts of the line: `changed` differs from the line that it replaced, and is
    "" where it replaced none. The numbers are those of the line in either text, from 1.
    """

    kind: Literal["same", "old", "new", "gap", "cut", "coarse"]
    old_number: int | None = None
    new_number: int | None = None
    before: str = ""
    changed: str = ""
    after: str = ""
    skipped: int = 0


def difference(old: str, new: str) -> list[DifferenceLine]:
    """Return the merged lines of both texts; an empty list when they are equal."""
    if old == new:
        return []
    matcher = _Matcher(old.splitlines(), new.splitlines())
    opcodes = matcher.get_opcodes()
    rows = list(islice(_difference_rows(matcher.old, matcher.new, opcodes), MOST_ROWS + 1))
    if len(rows) > MOST_ROWS:
        del rows[MOST_ROWS:]
        changed = sum(i_end - i + j_end - j for what, i, i_end, j, j_end in opcodes if what != "equal")
        shown = sum(row.skipped if row.kind == "cut" else row.kind in ("old", "new") for row in rows)
        rows.append(DifferenceLine(kind="cut", skipped=changed - shown))
    return [DifferenceLine(kind="coarse"), *rows] if matcher.is_coarse else rows


class _Matcher(SequenceMatcher[str]):
    """Finds the equal lines of two texts, comparing at most `MOST_COMPARED` pairs.

    Attributes:
        is_coarse: whether the limit was reached, so that some equal lines count as changed.
    """

    a: Sequence[str]
    b: Sequence[str]

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        self.old, self.new = old, new
        self.is_coarse = False
        start = _common_start_length(old, new)
        self._end = _common_start_length(old[start:][::-1], new[start:][::-1])
        self._start = start
        super().__init__(None, old[start : len(old) - self._end], new[start : len(new) - self._end], autojunk=False)
        self._left = MOST_COMPARED
        in_new = Counter(self.b)
        # For each line of the old text, the number of pairs of all lines before it. Each line also counts as _EACH
        # pairs, because one without equals takes time, too.
        self._pairs = [0, *accumulate(_EACH + in_new[line] for line in self.a)]

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        """Return the longest match in a part of both texts; an empty match once too many pairs were compared."""
        self._left -= self._pairs[len(self.a) if ahi is None else ahi] - self._pairs[alo]
        if self._left < 0:
            self.is_coarse = True
            return Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)

    def get_opcodes(self) -> list[tuple[Any, int, int, int, int]]:
        """Return difflib's opcodes, with the common start and end of the texts added again."""
        at, old, new = self._start, len(self.old), len(self.new)
        parts = [(what, i + at, i_end + at, j + at, j_end + at) for what, i, i_end, j, j_end in super().get_opcodes()]
        head = [("equal", 0, at, 0, at)] if at else []
        tail = [("equal", old - self._end, old, new - self._end, new)] if self._end else []
        return [*head, *parts, *tail]


def _difference_rows(
    old: Sequence[str], new: Sequence[str], opcodes: Sequence[tuple[Any, int, int, int, int]]
) -> Iterator[DifferenceLine]:
    for place, (what, i, i_end, j, j_end) in enumerate(opcodes):
        if what != "equal":
            yield from _replaced_lines(old[i:i_end], new[j:j_end], i + 1, j + 1)
            continue
        first, last = AROUND if place else 0, AROUND if place < len(opcodes) - 1 else 0
        skipped = i_end - i - first - last
        for step in range(i_end - i):
            if skipped < GAP or step < first or step >= first + skipped:
                yield DifferenceLine(
                    kind="same", old_number=i + step + 1, new_number=j + step + 1, before=old[i + step]
                )
            elif step == first:
                yield DifferenceLine(kind="gap", skipped=skipped)


def json_difference(old: Any, new: Any, *, was: bool = True, is_: bool = True) -> list[DifferenceLine]:
    """Return the difference of two JSON values. `was` and `is_` say whether the old and the new value exist at all."""
    return difference(_text_of(old) if was else "", _text_of(new) if is_ else "")


def _replaced_lines(old: Sequence[str], new: Sequence[str], old_start: int, new_start: int) -> Iterator[DifferenceLine]:
    # With equally many lines, each probably replaced its counterpart, so the change within lines is shown.
    paired = len(old) == len(new)
    cut = len(old[MOST_OF_BLOCK:]), len(new[MOST_OF_BLOCK:])
    old, new = old[:MOST_OF_BLOCK], new[:MOST_OF_BLOCK]
    parts = [_split_lines(one, other) for one, other in zip(old, new, strict=True)] if paired else []
    for step, line in enumerate(old):
        before, changed, after = parts[step][0] if paired else (line, "", "")
        yield DifferenceLine(kind="old", old_number=old_start + step, before=before, changed=changed, after=after)
    if cut[0]:
        yield DifferenceLine(kind="cut", skipped=cut[0])
    for step, line in enumerate(new):
        before, changed, after = parts[step][1] if paired else (line, "", "")
        yield DifferenceLine(kind="new", new_number=new_start + step, before=before, changed=changed, after=after)
    if cut[1]:
        yield DifferenceLine(kind="cut", skipped=cut[1])


def _split_lines(one: str, other: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """Split both lines into three parts: the common start, the difference, the common end."""
    start = _common_start_length(one, other)
    end = _common_start_length(one[start:][::-1], other[start:][::-1])
    first, second = (
        (line[:start], line[start : len(line) - end], line[len(line) - end :] if end else "") for line in (one, other)
    )
    return first, second


def _common_start_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the common start of both sequences."""
    return next(
        (place for place, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1),
        min(len(one), len(other)),
    )


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        # Not quoted, because many are texts of several lines, such as a schema.
        return value
    return exact_json.dumps(value, option=orjson.OPT_INDENT_2).decode()


# The name of the hidden input with the revision.
INPUT = "_revision"
_SALT = "core.admin.revisions"
_LONGEST_SHOWN, _MOST_SHOWN = 60, 5

# Values by their labels.
State = Mapping[str, Any]


class RevisedForm(forms.BaseForm):
    """A mixin for a definition's form, which refuses to save when another person changed the definition in the
    meantime.

    `reader` is the name of the person who edits, as written in audit entries.
    """

    reader: str = ""

    def target(self) -> str:
        """Return the definition's name in audit entries."""
        raise NotImplementedError

    def more_state(self) -> State:
        """Return state that the page shows besides the form's own fields, by its name in audit entries."""
        return {}

    def secret_labels(self) -> Collection[str]:
        """Return the labels of values that must not be shown."""
        return ()

    def revision(self) -> str:
        """Return the text of the hidden input: digests of the state that the page shows, and the id of the newest audit
        entry.
        """
        newest = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first()
        return json.dumps({"seen": newest or 0, "state": _digests_of(self._state())})

    def clean(self) -> Any:
        # Checked first, regardless of other errors: when the page is shown again, it carries the newer state.
        sent = _parse_revision(self.data.get(INPUT, ""))
        if sent is not None:
            state = self._state()
            changed = _changed_names(sent["state"], _digests_of(state))
            if changed:
                self.add_error(None, self._refusal_of(sent["seen"], changed, state))
        return super().clean()

    def _state(self) -> dict[str, Any]:
        own = {str(field.label or name): self.get_initial_for_field(field, name) for name, field in self.fields.items()}
        return {**own, **self.more_state()}

    def _refusal_of(self, seen: int, changed: Sequence[str], state: State) -> str:
        shown = [_describe_changed(name, state, self.secret_labels()) for name in changed[:_MOST_SHOWN]]
        if len(changed) > _MOST_SHOWN:
            shown.append(f"{len(changed) - _MOST_SHOWN} more")
        editor = self._find_editor(seen, changed)
        return (
            f"{editor} changed this while you edited it: {', '.join(shown)}. Nothing was saved,"
            " and what you wrote is still here: save again to put it in place of the other change, or load the page"
            " again to start from that."
        )

    def _find_editor(self, seen: int, changed: Sequence[str]) -> str:
        """Return a name, as the subject of a sentence, of the person that changed the definition after entry `seen`."""
        names = [name[: audit.MOST_OF_TARGET] for name in (self.target(), *changed)]
        entry = AuditEntry.objects.filter(pk__gt=seen, target__in=names).order_by("-pk").first()
        if entry is None:
            return "Somebody"
        who = "You, elsewhere," if entry.actor == self.reader else entry.actor
        return f"{who} (at {entry.at:%H:%M:%S} UTC)"


class RevisedModelForm(RevisedForm):
    """`RevisedForm` for model forms. `rows` yields the rows that are edited with the definition."""

    rows: ClassVar[Callable[[], Iterable[Model]]]
    secret_columns: ClassVar[Collection[str]] = ()
    instance: Model

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Before cleaning, which writes the sent values into the instance.
        self._target = audit.name_of(self.instance)
        columns = (self.instance._meta.get_field(name) for name in self.secret_columns)
        self._secrets = {str(column.verbose_name): column.value_from_object(self.instance) for column in columns}  # type: ignore[union-attr]

    def target(self) -> str:
        return self._target

    def more_state(self) -> State:
        rows = type(self).rows()
        return {**self._secrets, **{audit.name_of(row): audit.describe(row) for row in rows}}

    def secret_labels(self) -> Collection[str]:
        labels = (str(field.label) for name, field in self.fields.items() if name in self.secret_columns)
        return {*self._secrets, *labels}


def _digests_of(state: State) -> dict[str, str]:
    texts = {name: json.dumps(value, sort_keys=True, default=_to_json) for name, value in state.items()}
    return {name: salted_hmac(_SALT, text).hexdigest()[:16] for name, text in texts.items()}


def _to_json(value: Any) -> Any:
    """Convert a value that JSON cannot express."""
    if isinstance(value, Model):
        return value.pk
    if hasattr(value, "__iter__"):
        return sorted((_to_json(each) for each in value), key=str)
    return str(value)


def _parse_revision(text: str) -> dict[str, Any] | None:
    """Parse the revision that a page sent. None without one: programs that post forms send none."""
    if not text:
        return None
    try:
        value = json.loads(text)
        seen, state = int(value["seen"]), dict(value["state"])
    except (ValueError, TypeError, KeyError):
        return {"seen": 0, "state": {}}
    return {"seen": seen, "state": state}


def _changed_names(before: Mapping[str, Any], after: Mapping[str, str]) -> list[str]:
    names = [*after, *(name for name in before if name not in after)]
    return [name for name in names if not constant_time_compare(str(before.get(name, "")), after.get(name, ""))]


def _describe_changed(name: str, state: State, secret: Collection[str]) -> str:
    """Return the name of a changed value, with the current value if it is short and not secret."""
    if name not in state:
        return f"{cut(name, _LONGEST_SHOWN)} (deleted)"
    value = state[name]
    text = "" if value is None else str(value)
    if name in secret or not isinstance(value, str | int | float | bool | None) or len(text) > _LONGEST_SHOWN:
        return cut(name, _LONGEST_SHOWN)
    return f"{cut(name, _LONGEST_SHOWN)} (now {text or 'empty'})"
