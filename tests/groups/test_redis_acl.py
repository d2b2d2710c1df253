"""A Redis user with the rights that `manage.py redis_acl` prints: all of Synapse works, and nothing else does."""

import ast
import re
from io import StringIO
from pathlib import Path

import pytest
import redis as redis_py
from django.core.management import CommandError, call_command

import synapse.redis
from bridges import groups
from bridges.dead_letters import Ids, discard, redrive
from bridges.dead_letters import read_page as dead_letters
from bridges.models import Bridge
from streams import connections
from streams.connections import tails
from streams.models import Stream
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.redis import acl
from synapse.retention.janitor import Janitor
from tests.both_ways import EventLoopClient
from tests.bridges.cast import GROUP, STREAM, TWICE, KeepingSink
from tests.live.server import running_server, watching
from tests.tables import for_each

pytestmark = pytest.mark.django_db

PASSWORD = "of-the-user"
BROKER = Path(synapse.redis.__file__).parent
CONTAINERS = ("XGROUP", "XINFO", "CONFIG", "MEMORY")


def printed(*options):
    out = StringIO()
    call_command("redis_acl", *options, stdout=out)
    return out.getvalue().strip()


def test_the_document_shows_the_commands_that_redis_acl_prints():
    page = (BROKER.parents[1] / "docs/reference/redis-acl.md").read_text(encoding="utf-8")
    shown = re.search(r"^ACL SETUSER.*$", page, re.MULTILINE)[0].split()

    expected = acl.rule("synapse", [])
    assert [word for word in shown if word.startswith("+")] == [word for word in expected if word.startswith("+")]


def named(words):
    first, second = words
    return f"{first}|{second}".lower() if first in CONTAINERS else first.lower()


def used_by_scripts():
    call = re.compile(r"redis\.p?call\(\s*'(\w+)'(?:,\s*'(\w+)')?")
    texts = [path.read_text() for path in BROKER.glob("scripts/**/*.lua")]
    built = re.compile(r"\{'(X[A-Z]+|H[A-Z]+|Z[A-Z]+)',\s*'?(\w*)")
    return {named(found) for text in texts for found in [*call.findall(text), *built.findall(text)]}


def used_by_commands():
    """Every tuple in the package that begins with a word in capitals: the words of a command."""
    found = set()
    for path in (*BROKER.glob("*.py"), *BROKER.glob("commands/*.py"), *BROKER.glob("cluster/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Tuple) and node.elts:
                texts = [one.value if isinstance(one, ast.Constant) else "" for one in node.elts[:2]]
                texts = [text if isinstance(text, str) else "" for text in (*texts, "")]
                if re.fullmatch(r"[A-Z]{3,}", texts[0]) and texts[0] not in ("ACL", "READONLY", "BLOCK"):
                    found.add(named(texts[:2]))
    return found


class TestTheList:
    def test_every_command_of_every_script_is_in_the_acl(self):
        assert len(used_by_scripts()) > 30
        assert used_by_scripts() <= set(acl.COMMANDS)

    def test_every_command_that_is_sent_is_in_the_acl(self):
        assert {"xadd", "xgroup|create", "scan", "waitaof", "config|get"} <= used_by_commands()
        known = {*acl.COMMANDS, *acl.NOT_NEEDED, *acl.IN_A_CLUSTER}
        # Neither is a command: how an answer of a cluster begins, and the commands that have more than one word.
        assert used_by_commands() - {"moved", "xgroup|xinfo"} <= known

    def test_every_command_of_the_acl_is_used(self):
        assert set(acl.COMMANDS) <= used_by_scripts() | used_by_commands()


class TestTheRule:
    def test_the_acl_names_the_streams_of_the_catalog(self, define):
        define("orders")
        define("payments")

        words = printed("--user", "app").split()

        assert words[:6] == ["ACL", "SETUSER", "app", "reset", "on", ">PASSWORD"]
        assert [word for word in words if word[0] == "~"] == ["~syn:*", "~orders", "~payments"]

    def test_the_acl_can_allow_every_key_and_omit_commands_that_old_servers_lack(self, define):
        define("orders")

        words = printed("--all-streams", "--before-7-2").split()

        assert [word for word in words if word[0] == "~"] == ["~*"]
        assert "+waitaof" not in words

    def test_a_name_of_a_stream_with_wildcards_is_escaped(self):
        assert acl.escape_pattern("a*b?[c]") == "a\\*b\\?\\[c\\]"

    def test_a_user_with_a_strange_name_is_refused(self):
        with pytest.raises(CommandError):
            call_command("redis_acl", "--user", "two words")


@pytest.fixture
def as_user(own_valkey, settings, define):
    """The project's connections are those of the user; the test looks on as another."""
    define(STREAM, {"order-placed": None})
    with own_valkey.client() as anybody:
        version = tuple(map(int, anybody.info("server")["redis_version"].split(".")))
        options = ["--before-7-2"] if version < (7, 2) else []
        anybody.execute_command(*printed(*options).replace(">PASSWORD", f">{PASSWORD}").split())
        settings.REDIS_URL = f"redis://synapse:{PASSWORD}@127.0.0.1:{own_valkey.port}/0"
        for made in (connections.executor, connections.async_executor, tails):
            made.cache_clear()
        yield anybody


@pytest.fixture
def ask(as_user):
    way = EventLoopClient()
    yield way
    way.close()


@pytest.fixture
def user(own_valkey, as_user):
    with redis_py.Redis(host="127.0.0.1", port=own_valkey.port, username="synapse", password=PASSWORD) as client:
        yield client


def refused(anybody):
    """Return the commands that the server refused to the user."""
    return [row["object"] for row in anybody.acl_log()]


class TestTheUser:
    def test_publishing_reading_trying_again_dead_letters_and_moving_work(self, as_user, ask, bridge):
        for number in range(4):
            sent = ask("POST", "/events/orders", b'{"event_type":"order-placed","n":%d}' % number)
            assert sent.status == 201
        key = {"Idempotency-Key": "one"}
        assert ask("POST", "/events/orders", b'{"event_type":"order-placed"}', headers=key).status == 201
        for path in ("/streams", "/streams/orders/info", "/streams/orders/messages", "/streams/orders/groups"):
            assert ask("GET", path).status == 200

        worker = bridge(KeepingSink(refuses=lambda one: one.event.get("n") == 2), retry=TWICE, owned=True).run_dry()
        (letter,) = dead_letters(STREAM, GROUP).letters
        assert redrive(STREAM, GROUP, Ids((letter.id,)), by=SYSTEM).moved == 1
        worker.run_dry()
        (letter,) = dead_letters(STREAM, GROUP).letters
        assert discard(STREAM, GROUP, Ids((letter.id,)), by=SYSTEM, reason="a test").count == 1
        worker.worker.leave(connections.executor())

        assert groups.move(STREAM, GROUP, "beginning", by=SYSTEM, discard_waiting=True).before != "0-0"
        assert groups.create(STREAM, "other", "end", by=SYSTEM)
        assert not groups.delete(STREAM, GROUP, by=SYSTEM, force=True, reason="a test").dead
        assert refused(as_user) == []

    def test_reading_in_order_works(self, as_user, bridge):
        for number in range(4):
            as_user.xadd(STREAM, {"event_type": "order-placed", "n": number, "customer": "anna"})

        worker = bridge(KeepingSink(), order="key", order_key="customer", owned=True).run_dry()

        assert len(worker.sink.got) == 4
        assert refused(as_user) == []

    def test_statistics_are_shown_where_the_catalog_has_no_stream_of_inference(self, as_user, ask):
        assert ask("GET", "/metrics").json["inference_metrics"]["total_inferences"] == 0
        assert ask("GET", "/metrics", headers={"Accept": "text/plain"}).status == 200

    def test_pulling_over_http_works(self, as_user, ask):
        stream = Stream.objects.get(name=STREAM)
        Bridge.objects.create(name="pulled", stream=stream, group="pulled", sink="pull", lease_seconds=60)
        holder.forget()
        as_user.xadd(STREAM, {"event_type": "order-placed"})

        read = ask("POST", "/v1/read", b'{"stream":"orders","consumer_group":"pulled","consumer_name":"one"}')

        assert read.status == 200
        assert refused(as_user) == []

    def test_watching_live_works(self, as_user):
        first, second = (as_user.xadd(STREAM, {"event_type": "order-placed"}).decode() for _ in range(2))
        holder.refresh()

        with running_server() as server, watching(server.live(), last_id=first) as watch:
            assert watch.next().id == second

        assert refused(as_user) == []

    def test_the_janitor_works(self, as_user, define):
        define(STREAM, max_length=2, hard_length=10)
        for number in range(5):
            as_user.xadd(STREAM, {"n": number})

        Janitor(connections.executor, lambda: holder.current().streams).step()
        Janitor(connections.executor, lambda: holder.current().streams).step()

        assert refused(as_user) == []

    @for_each(
        "words",
        [
            ("FLUSHALL",),
            ("FLUSHDB",),
            ("KEYS", "*"),
            ("CONFIG", "SET", "appendonly", "no"),
            ("CONFIG", "GET", "requirepass"),
            ("ACL", "LIST"),
            ("SHUTDOWN",),
            ("GET", "theirs"),
            ("XADD", "payments", "*", "n", "1"),
            ("XADD", "orders2", "*", "n", "1"),
            ("EVAL", "return redis.call('SET', 'theirs', '1')", "0"),
        ],
    )
    def test_commands_and_keys_outside_the_acl_are_refused(self, user, words):
        with pytest.raises(
            (redis_py.exceptions.NoPermissionError, redis_py.exceptions.ResponseError),
            match=r"permission|ACL|can't access",
        ):
            user.execute_command(*words)
