"""Unmodified clients of schema registries do a full cycle against the real server process."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, ServerConfig
from confluent_kafka.schema_registry.common.schema_registry_client import (
    ConfigCompatibilityLevel,
    Metadata,
    MetadataProperties,
)
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.conftest import need

# The client's own dependencies warn of each other.
pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NODE = Path(__file__).parent / "node"
ORDER = {"title": "Order", "type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
WITH_NOTE = {**ORDER, "properties": {**ORDER["properties"], "note": {"type": "string"}}}
WITH_CUSTOMER = {**ORDER, "required": ["id", "customer"]}


@pytest.fixture
def client(hub):
    with SchemaRegistryClient({"url": f"{hub.url}/registry"}) as client:
        yield client


@pytest.fixture
def subject(request):
    """A subject of the test's own, with all that is hard to write in a path."""
    return f"python/{request.node.name} ü-value"


def schema(document, **more):
    return Schema(json.dumps(document), "JSON", **more)


def refusal(call, *arguments, **options):
    """Return the status and the code with which a call is refused."""
    with pytest.raises(SchemaRegistryError) as refused:
        call(*arguments, **options)
    return refused.value.http_status_code, refused.value.error_code


def test_a_schema_is_registered_looked_up_and_evolved(client, subject):
    id_ = client.register_schema(subject, schema(ORDER))
    later = client.register_schema_full_response(subject, schema(WITH_NOTE), normalize_schemas=True)

    assert client.get_schema(id_).schema_str == json.dumps(ORDER)
    assert client.get_schema_by_guid(later.guid).schema_type == "JSON"
    assert client.lookup_schema(subject, schema(ORDER)).version == 1
    assert client.get_latest_version(subject).schema_id == later.schema_id
    assert client.get_version(subject, 1).schema_id == id_
    assert client.get_versions(subject) == [1, 2]
    assert client.get_subjects(subject_prefix=subject[:9]).count(subject) == 1
    assert client.get_subjects_by_schema_id(later.schema_id) == [subject]
    assert [found.version for found in client.get_schema_versions(later.schema_id)] == [2]
    assert client.get_schema_types() == ["JSON"]
    assert client.get_contexts() == ["."]


def test_a_break_is_refused_with_its_reason(client, subject):
    client.register_schema(subject, schema(ORDER))

    with pytest.raises(SchemaRegistryError, match="REQUIRED_PROPERTY_ADDED") as refused:
        client.register_schema(subject, schema(WITH_CUSTOMER))

    assert (refused.value.http_status_code, refused.value.error_code) == (409, 40901)
    assert "customer" in refused.value.error_message
    assert not client.test_compatibility(subject, schema(WITH_CUSTOMER))
    assert not client.test_compatibility_all_versions(subject, schema(WITH_CUSTOMER), verbose=True)
    assert client.test_compatibility(subject, schema(WITH_NOTE))


def test_compatibility_is_set_and_reset(client, subject):
    client.register_schema(subject, schema(ORDER))

    assert client.get_compatibility() == "BACKWARD"
    assert refusal(client.get_compatibility, subject) == (404, 40408)
    client.set_compatibility(subject, "FULL")
    assert client.get_compatibility(subject) == "FULL"
    client.set_config(subject, ServerConfig(compatibility=ConfigCompatibilityLevel.NONE))
    assert client.get_config(subject).compatibility_level is ConfigCompatibilityLevel.NONE
    assert client.register_schema(subject, schema(WITH_CUSTOMER))
    assert client.delete_config(subject).compatibility_level is ConfigCompatibilityLevel.NONE
    assert refusal(client.set_compatibility, subject, "SIDEWAYS") == (422, 42203)


def test_a_mode_is_set_and_reset(client, subject):
    client.register_schema(subject, schema(ORDER))

    assert client.get_global_mode() == "READWRITE"
    assert refusal(client.get_mode, subject) == (404, 40409)
    assert client.update_mode(subject, "READONLY") == "READONLY"
    assert client.get_mode(subject) == "READONLY"
    assert refusal(client.register_schema, subject, schema(WITH_NOTE)) == (422, 42205)
    assert client.delete_mode(subject) == "READONLY"
    assert client.update_global_mode("READWRITE") == "READWRITE"


def test_versions_and_subjects_are_deleted_softly_and_for_good(client, subject):
    client.register_schema(subject, schema(ORDER))
    client.register_schema(subject, schema(WITH_NOTE))

    assert refusal(client.delete_version, subject, 1, permanent=True) == (404, 40407)
    assert client.delete_version(subject, 1) == 1
    assert client.get_versions(subject, deleted=True) == [1, 2]
    assert client.get_versions(subject) == [2]
    assert client.delete_version(subject, 1, permanent=True) == 1
    assert client.delete_subject(subject) == [2]
    assert refusal(client.get_versions, subject) == (404, 40401)
    assert client.delete_subject(subject, permanent=True) == [2]
    client.register_schema(subject, schema(WITH_CUSTOMER))
    assert client.get_versions(subject) == [3]


def test_metadata_and_references_are_kept(client, subject):
    address = f"{subject}-address"
    client.register_schema(address, schema({"type": "object", "required": ["street"]}))
    metadata = Metadata(tags=None, properties=MetadataProperties(properties={"team": "shop"}), sensitive=None)
    to = {"type": "object", "properties": {"to": {"$ref": "address.json"}}}
    reference = SchemaReference("address.json", address, 1)

    id_ = client.register_schema(subject, schema(to, references=[reference], metadata=metadata))

    assert client.get_schema(id_).references == [reference]
    assert client.get_referenced_by(address, 1) == [id_]
    assert client.get_latest_with_metadata(subject, {"team": "shop"}).schema_id == id_
    assert refusal(client.delete_subject, address) == (422, 42206)


def test_events_are_serialised_and_read_back(client, request):
    context = SerializationContext(request.node.name, MessageField.VALUE)
    serialise = JSONSerializer(json.dumps(ORDER), client)
    read = JSONDeserializer(None, schema_registry_client=client)

    data = serialise({"id": 7}, context)

    assert read(data, context) == {"id": 7}
    assert data[0] == 0
    assert int.from_bytes(data[1:5], "big") == client.get_latest_version(f"{request.node.name}-value").schema_id
    with pytest.raises(Exception, match="id"):
        serialise({}, context)


def test_other_kinds_of_schemas_are_refused(client, subject):
    assert refusal(client.register_schema, subject, Schema('"string"', "AVRO")) == (422, 42201)


# The tests above hold the same for a client in Python.
@pytest.mark.nightly
def test_the_client_of_kafkajs_does_a_full_cycle(hub):
    need(shutil.which("node"), "Node")
    need((NODE / "node_modules/@kafkajs/confluent-schema-registry").exists(), "@kafkajs/confluent-schema-registry")

    run = subprocess.run(
        ["node", "registry.mjs"],
        cwd=NODE,
        env=os.environ | {"REGISTRY_URL": f"{hub.url}/registry"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert all(told[each] for each in ("again", "latest", "lookup", "found"))
    assert told["wire"] == [0, True]
    assert told["decoded"] == {"id": 7, "note": "with care"}
    assert "Validation" in told["invalid"]
    assert told["refused"]["status"] == 409
    assert "customer" in told["refused"]["message"]
    assert "Compatibility does not match" in told["compatibility"]
