"""The catalog snapshot in a file is read back as it was written; any other file is refused."""

from datetime import timedelta

import pytest

from contracts import registry
from streams import connections
from streams.kept_snapshot import NotKept, SnapshotFile
from streams.models import EventType, Key, Stream
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.catalog.stream_definitions import STREAM_FIELDS
from synapse.redis.commands import shared_values
from synapse.redis.errors import RedisUnreachable
from tests.definitions import define, key_of
from tests.tables import for_each

pytestmark = pytest.mark.django_db

PII = {"type": "object", "properties": {"name": {"type": "string", "x-pii": True}, "n": {"type": "integer"}}}


@pytest.fixture
def file(redis, tmp_path):
    return SnapshotFile(tmp_path / "catalog-snapshot", connections.executor)


@pytest.fixture
def catalog(any_schema_may_follow):
    define("orders", {"placed": PII, "other": None}, max_age=timedelta(hours=36), when_full="reject", layout="dual")
    EventType.objects.filter(name="placed").update(owner="shop", labels={"team": "shop"})
    define("parcels", {"sent": {"type": "object", "required": ["to"]}})
    registry.register("address", '{"type": "object", "required": ["street"]}', by=SYSTEM)
    reference = registry.Reference(name="address.json", subject="address", version=1)
    registry.register(
        "parcels.sent", '{"properties": {"to": {"$ref": "address.json"}}}', by=SYSTEM, references=[reference]
    )
    # What is left of a stream whose contract marked something.
    define("former", {"gone": PII})
    Stream.objects.get(name="former").delete()
    return key_of("shop", publishes=["orders/placed", "par*"], subscribes=["orders"], scopes=["publish:orders"])


def test_a_snapshot_that_is_read_is_the_one_that_was_written(file, catalog):
    written = holder.refresh()
    file.keep(written)

    read = file.read()

    assert read.version == written.version
    assert (read.streams.keys(), read.former.keys()) == (written.streams.keys(), {"former"})
    for name, stream in written.streams.items():
        same = read.streams[name]
        for column in (*(field.name for field in STREAM_FIELDS), "durable_within"):
            assert getattr(same, column) == getattr(stream, column), column
        assert same.event_types.keys() == stream.event_types.keys()
        for type_name, event_type in stream.event_types.items():
            for column in ("owner", "runbook", "labels"):
                assert getattr(same.event_types[type_name], column) == getattr(event_type, column), column
        assert same.marks.keys() == stream.marks.keys()
        assert set(same.types_of) == set(stream.types_of)


def test_contracts_and_marks_that_are_read_judge_as_before(file, catalog):
    file.keep(holder.refresh())

    read = file.read()

    placed = read.streams["orders"].event_types["placed"].contract
    assert (placed.subject, placed.version) == ("orders.placed", 1)
    assert placed.schema.accepts({"n": 1})
    assert not placed.schema.accepts({"n": "many"})
    assert read.streams["orders"].event_types["other"].contract is None
    for marks in (read.streams["orders"].marks["placed"], read.former["former"].marks["gone"]):
        assert marks[0].of_name("name").is_personal
        assert marks[0].of_name("n") is None
    sent = read.streams["parcels"].event_types["sent"]
    assert sent.versions.keys() == {1, 2}
    assert not sent.contract.schema.accepts({"to": {}})
    assert sent.contract.schema.accepts({"to": {"street": "x"}})


def test_a_key_that_is_read_may_do_what_it_might(file, catalog):
    written = holder.refresh()
    file.keep(written)

    read = file.read()

    assert read.keys.keys() == written.keys.keys()
    (key,) = read.keys.values()
    questions = [("publish", "orders", "placed"), ("publish", "parcels", "sent"), ("read", "orders", None)]
    assert [key.rights.may(*question) for question in questions] == [True, False, False]
    assert read.keys_by_id[key.id] is key


def test_a_snapshot_is_not_read_when_another_process_has_loaded_a_later_one(file, catalog):
    snapshot = holder.refresh()
    file.keep(snapshot)
    connections.executor().execute([shared_values.note_catalog_number(snapshot.version + 1)])
    file.keep(snapshot)  # one who is late lowers nothing

    with pytest.raises(NotKept, match=f"Redis knows of version {snapshot.version + 1}"):
        file.read()


def test_a_snapshot_is_not_read_when_redis_knows_of_no_version(file, catalog, redis):
    file.keep(holder.refresh())
    redis.delete("syn:catalog")

    with pytest.raises(NotKept, match="Redis knows of version None"):
        file.read()


def test_a_snapshot_is_not_read_while_redis_is_away(own_valkey, tmp_path):
    define("orders")
    file = SnapshotFile(tmp_path / "catalog-snapshot", connections.executor)
    file.keep(holder.refresh())
    own_valkey.kill()

    with pytest.raises(NotKept, match="whether it is the last one is not known"):
        file.read()


SPOILT = {
    "another signature": lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
    "cut off": lambda text: text[:100],
    "empty": lambda _: "",
    "made up": lambda _: "e30:1:x",
    "twice": lambda text: text + text,
}


@for_each("how", SPOILT)
def test_a_file_that_was_tampered_with_is_not_read(file, catalog, tmp_path, how):
    file.keep(holder.refresh())
    path = tmp_path / "catalog-snapshot"
    path.write_text(SPOILT[how](path.read_text()))

    with pytest.raises(NotKept, match="was not written by this installation"):
        file.read()


def test_a_file_of_another_secret_key_or_database_is_not_read(file, catalog, settings, monkeypatch):
    file.keep(holder.refresh())

    monkeypatch.setattr("streams.kept_snapshot._database_address", lambda: ["another"])
    with pytest.raises(NotKept, match="of another database"):
        file.read()
    settings.SECRET_KEY = "another key, which is as long as it has to be, and not that of this one"
    with pytest.raises(NotKept, match="was not written by this installation"):
        file.read()


def test_reading_a_snapshot_that_was_never_written_raises_not_kept(file):
    with pytest.raises(NotKept, match="is not there"):
        file.read()


def test_a_folder_that_cannot_be_written_to_is_told_once(redis, catalog, tmp_path, caplog):
    file = SnapshotFile(tmp_path / "nowhere" / "catalog-snapshot", connections.executor)

    for _ in range(3):
        file.keep(holder.refresh())

    assert [record.message.split(" in ")[0] for record in caplog.records] == ["the catalog cannot be kept"]


def test_a_snapshot_that_was_adopted_is_replaced_as_soon_as_the_database_answers(file, catalog):
    kept = holder.refresh()
    holder.adopt(kept)
    EventType.objects.filter(name="other").delete()

    assert holder.current() is kept
    assert holder.refresh() is not kept


def without_redis():
    raise RedisUnreachable("Redis is away.")


def test_a_command_that_cannot_tell_redis_of_its_change_deletes_the_older_file(file, catalog, tmp_path):
    file.keep(holder.refresh())
    Key.objects.all().delete()

    SnapshotFile(tmp_path / "catalog-snapshot", without_redis).record_version(holder.refresh())

    with pytest.raises(NotKept, match="is not there"):
        file.read()


def test_a_server_that_cannot_tell_redis_of_the_version_that_it_wrote_keeps_the_file(file, catalog, tmp_path):
    file.keep(holder.refresh())

    SnapshotFile(tmp_path / "catalog-snapshot", without_redis).record_version(holder.refresh())

    assert file.read().version == holder.refresh().version
