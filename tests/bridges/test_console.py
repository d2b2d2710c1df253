"""The console: one line for each event, for any content and any reader."""

import json
import os
import pty
import select
import threading
from datetime import UTC, datetime

import orjson
import pytest

from bridges.sinks import console
from bridges.sinks.console import ConsoleSink, NonblockingWriter
from synapse.delivery.sink import Delivery
from synapse.delivery.text_line import json_line, terminal_line
from synapse.errors.delivery import SinkGone
from tests.bridges.cast import always

NOW = datetime(2025, 12, 24, 12, tzinfo=UTC)


def delivery_of(fields, id_="1766570400123-0", attempt=1):
    raw = {
        name.encode() if isinstance(name, str) else name: value.encode() if isinstance(value, str) else value
        for name, value in fields.items()
    }
    return Delivery(stream="orders", id=id_, attempt=attempt, parts=[part for pair in raw.items() for part in pair])


ORDER = {"event_type": "order-placed", "source": "shop", "timestamp": "2025-12-24T10:00:00Z", "total": "9.5"}


class Pipe:
    """A pipe with a sink at one end."""

    def __init__(self, **options):
        self.reader, self.writer = os.pipe()
        self.sink = ConsoleSink(self.writer, **options)
        self._open = {self.reader, self.writer}

    def read(self):
        return os.read(self.reader, 1 << 20)

    def close(self, *ends):
        for end in self._open & set(ends or self._open):
            os.close(end)
            self._open.remove(end)


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.close()


class TestJsonLines:
    def test_a_line_has_the_event_and_what_is_known_of_it(self):
        assert json.loads(json_line(delivery_of(ORDER, attempt=2))) == {
            "id": "1766570400123-0",
            "stream": "orders",
            "event_type": "order-placed",
            "timestamp": "2025-12-24T10:00:00Z",
            "source": "shop",
            "attempt": 2,
            "event": {**ORDER, "total": 9.5},
        }

    def test_an_entry_without_type_time_and_source_is_a_line_too(self):
        line = json.loads(json_line(delivery_of({"n": "1"})))

        assert (line["event_type"], line["timestamp"], line["source"]) == ("", None, None)

    @pytest.mark.parametrize(
        "text", ["a\x1b[2Jb", "a\x9b2Jb", "a\r\nb", "a\u202eb", "a\x7fb", "a\u2028b", "\x00", "😀é"]
    )
    def test_a_json_line_has_only_printable_characters_and_keeps_the_text(self, text):
        line = json_line(delivery_of({"event_type": text, text: text}))

        assert line.count(b"\n") == 1
        assert line.decode().rstrip("\n").isprintable()
        assert json.loads(line)["event"] == {"event_type": text, text: text}

    @pytest.mark.parametrize("levels", [100, 250, 251, 252, 253, 254, 255, 400])
    def test_a_value_of_any_depth_can_be_written(self, levels):
        deep = "[" * levels + "]" * levels

        flat = json.loads(json_line(delivery_of({"deep": deep, "n": "1"})))
        envelope = json.loads(json_line(delivery_of({"payload": f'{{"deep":{deep}}}'})))

        assert flat["event"]["n"] == 1
        assert flat["event"]["deep"] == (json.loads(deep) if levels <= 252 else deep)
        assert deep in json.dumps(envelope["event"])

    def test_bytes_that_are_no_utf_8_are_shown_as_replacement_characters(self):
        assert json.loads(json_line(delivery_of({b"\xff": b"\xfe\x00"})))["event"] == {"�": "�\x00"}


class TestTerminalLines:
    def line(self, fields, **options):
        return terminal_line(delivery_of(fields, **options), now=NOW, colour=False).decode()

    def test_a_line_has_time_type_id_source_and_properties(self):
        fields = {**ORDER, "lines": '[{"sku": 1}]', "note": "two words", "code": "007", "paid": "true"}

        assert self.line(fields) == (
            "10:00:00.123 order-placed 1766570400123-0 shop "
            'timestamp="2025-12-24T10:00:00Z" total=9.5 lines=[{"sku":1}] note="two words" code="007" paid=true\n'
        )

    def test_an_event_of_another_day_has_its_date(self):
        assert self.line({"n": "1"}, id_="1766484000000-0").startswith("2025-12-23 10:00:00.000 (no type) ")

    def test_a_console_line_names_a_later_attempt(self):
        assert " attempt 3 " in self.line(ORDER, attempt=3)

    @pytest.mark.parametrize("id_", ["0-1", f"{2**64 - 1}-0"])
    def test_any_id_can_be_shown(self, id_):
        assert id_ in self.line({"n": "1"}, id_=id_)

    @pytest.mark.parametrize(
        "evil",
        [
            "\x1b[2J\x1b]0;title\x07",
            "\x9b31m",
            "one\ntwo\rthree",
            "\u202eright to left",
            "\u200b\u2066",
            "\x00\x08\x7f",
        ],
    )
    def test_control_characters_are_escaped_in_a_console_line(self, evil):
        line = self.line({"event_type": evil, "source": evil, evil: evil, "list": json.dumps([evil])})

        assert line.rstrip("\n").isprintable()
        assert line.count("\n") == 1
        assert f"\\u{ord(evil[0]):04x}" in line or "one\\u000atwo" in line

    def test_a_string_cannot_pass_for_something_else(self):
        line = self.line({"a": "x b=2", "c": '"1"', "d": "null", "e": ""})

        assert line.endswith('a="x b=2" c="\\"1\\"" d=null e=""\n')

    def test_long_values_and_many_properties_are_cut(self):
        line = self.line({f"field{n}": "y" * 1000 for n in range(10_000)})

        assert len(line) < 10_000
        assert line.endswith("… 9960 more\n")
        assert "y" * 200 + "…" in line

    def test_colours_are_around_the_text_and_never_in_it(self):
        line = terminal_line(delivery_of(ORDER), now=NOW, colour=True).decode()

        assert "\x1b[1morder-placed\x1b[0m" in line
        assert "\x1b[2mtotal=\x1b[0m9.5" in line


class TestSink:
    def test_a_pipe_gets_a_json_line_for_each_event_at_once(self, pipe):
        assert pipe.sink.deliver([delivery_of(ORDER), delivery_of(ORDER)], always) == [None, None]

        assert [json.loads(line)["event_type"] for line in pipe.read().splitlines()] == ["order-placed"] * 2

    def test_an_event_for_a_closed_reader_is_not_taken_and_the_sink_is_gone(self, pipe):
        pipe.close(pipe.reader)

        outcomes = pipe.sink.deliver([delivery_of(ORDER)], always)

        assert isinstance(outcomes[0], SinkGone)
        assert str(outcomes[0]) == ""
        assert pipe.sink.is_gone()

    def test_a_closed_reader_is_noticed_before_anything_is_written(self, pipe):
        assert not pipe.sink.is_gone()
        pipe.close(pipe.reader)
        assert pipe.sink.is_gone()

    def test_only_lines_that_were_written_whole_count_as_taken(self, pipe):
        events = [delivery_of({"text": "x" * 1000}) for _ in range(200)]
        size = len(json_line(events[0]))
        taken = bytearray()

        def read_some_and_go():
            while len(taken) < 70 * size:
                taken.extend(os.read(pipe.reader, 1000))
            pipe.close(pipe.reader)

        thread = threading.Thread(target=read_some_and_go)
        thread.start()
        outcomes = pipe.sink.deliver(events, always)
        thread.join()

        delivered = outcomes.index(next(outcome for outcome in outcomes if outcome))
        assert 70 <= delivered < 200
        assert all(isinstance(outcome, SinkGone) for outcome in outcomes[delivered:])

    def test_a_stuck_reader_does_not_keep_the_process_from_stopping(self, monkeypatch):
        monkeypatch.setattr("bridges.sinks.console.PATIENCE", 0.01)
        monkeypatch.setattr("bridges.sinks.console._LOOK_EVERY", 0.01)
        pipe = Pipe(stopping=lambda: True)
        events = [delivery_of({"text": "x" * 1000}) for _ in range(200)]

        outcomes = pipe.sink.deliver(events, always)

        assert outcomes[0] is None
        assert isinstance(outcomes[-1], SinkGone)
        assert not pipe.sink.is_gone()
        pipe.close()

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is always full")
    def test_an_event_for_a_full_disk_is_a_failed_attempt_with_the_reason(self):
        with open("/dev/full", "wb") as full:
            sink = ConsoleSink(full.fileno())

            outcome = sink.deliver([delivery_of(ORDER)], always)[0]

        assert str(outcome) == "No space left on device"

    def test_a_terminal_gets_lines_for_people_in_colour(self, monkeypatch):
        assert b"\x1b[1morder-placed" in shown_on_a_terminal(monkeypatch)

    @pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")])
    def test_a_terminal_whose_environment_switches_colour_off_gets_none(self, monkeypatch, variable):
        shown = shown_on_a_terminal(monkeypatch, variable)

        assert b" order-placed 1766570400123-0 shop " in shown
        assert b"\x1b" not in shown


def shown_on_a_terminal(monkeypatch, *variables):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables:
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()
    try:
        console.ConsoleSink(theirs).deliver([delivery_of(ORDER)], always)
        return os.read(ours, 1 << 16)
    finally:
        os.close(ours)
        os.close(theirs)


def test_an_outlet_writes_large_data_to_a_slow_reader():
    reader, writer = os.pipe()
    data = orjson.dumps(list(range(100_000)))
    got = bytearray()

    def read_all():
        while len(got) < len(data):
            select.select([reader], [], [])
            got.extend(os.read(reader, 777))

    thread = threading.Thread(target=read_all)
    thread.start()
    taken = NonblockingWriter(writer, stopping=lambda: False).write(data)
    thread.join()
    os.close(reader)
    os.close(writer)

    assert taken == len(data)
    assert bytes(got) == data
