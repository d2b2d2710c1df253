"""Webhooks over TLS: the connection goes to the address that was checked, and the certificate must be the name's."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bridges.sinks.webhook import WebhookConfig, WebhookSink
from synapse.delivery.webhooks import target
from tests.bridges.cast import always
from tests.bridges.receiver import Receiver
from tests.bridges.sinks import definition, delivery

HOST = "shop.example.com"
pytestmark = pytest.mark.usefixtures("webhooks", "db")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a certificate of the host's, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "shop.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    return path


@pytest.fixture
def asked_for():
    """The names that clients asked for in their handshakes (SNI)."""
    return []


@pytest.fixture
def receiver(certificate, asked_for):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: asked_for.append(name)
    receiver = Receiver(tls=context)
    yield receiver
    receiver.close()


def send(receiver, settings, host=HOST):
    async def lookup(name, port):
        return ["127.0.0.1"]

    settings.WEBHOOK_ALLOW = target.read_allowed([HOST, "other.example.com"])
    config = WebhookConfig(url=f"https://{host}:{receiver.port}/", secret="shop")
    sink = WebhookSink(config, definition("webhook", handler_timeout_seconds=60), lookup=lookup)
    try:
        return sink.deliver([delivery({"event_type": "order-placed"})], always)[0]
    finally:
        sink.close()


def test_the_checked_address_is_asked_for_the_name(receiver, settings, certificate, asked_for, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    assert send(receiver, settings) is None

    assert asked_for == [HOST]
    assert receiver.got[0].headers["host"] == f"{HOST}:{receiver.port}"


def test_an_untrusted_certificate_is_a_failure(receiver, settings):
    assert str(send(receiver, settings)).startswith(f"No secure connection to {HOST}:{receiver.port}: ")
    assert receiver.got == []


def test_a_certificate_for_another_name_is_a_failure(receiver, settings, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    outcome = send(receiver, settings, host="other.example.com")

    assert "No secure connection to other.example.com" in str(outcome)
    assert receiver.got == []
