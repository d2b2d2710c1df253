"""Addresses that webhooks never connect to, for any URL, host name and resolver."""

import pytest

from bridges.sinks.webhook import WebhookConfig, WebhookSink
from synapse.delivery.webhooks import target
from synapse.delivery.webhooks.target import Allowed
from synapse.errors.delivery import BadConfig
from tests.bridges.cast import always
from tests.bridges.receiver import Receiver
from tests.bridges.sinks import definition, delivery
from tests.tables import for_each

pytestmark = pytest.mark.usefixtures("webhooks", "db")

NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8",
    "::ffff:169.254.169.254",
    "::ffff:c0a8:101",
    "64:ff9b::10.0.0.1",
    "64:ff9b::192.0.0.1",
    "64:ff9b:0:0:1::8.8.8.8",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:2::1",
    "100::1",
    "100:0:0:1::1",
    "200::1",
    "400::1",
    "1fff:ffff::1",
    "2001::1",
    "2001:1::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff::1",
    "2002:a00:1::1",
    "2002:c0a8:101::1",
    "2002:e000:1::1",
    "2606:4700::5efe:7f00:1",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:169.254.169.254",
    "2002:808:808::5efe:127.0.0.1",
    "3fff:fff::1",
    "4000::1",
    "6000::1",
    "8000::1",
    "a000::1",
    "c000::1",
    "e000::1",
    "f000::1",
    "fe00::1",
    "febf::1",
    "feff::1",
    "ff00::1",
    "ff0e::1",
    "2606:4700::1111%eth0",
    "100.127.255.255",
    "172.31.255.255",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "239.255.255.255",
    "255.0.0.0",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.254",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db9::1",
    "2002:808:808::1",
    "2606:4700::1111",
    "2606:4700::5efe:8.8.8.8",
    "2a00:1450:4001:800::200e",
    "3ffe::1",
]


def why_not(text):
    address = target.plain_address(text)
    return "no address" if address is None else target.address_complaint(address)


@for_each("text", NOT_PUBLIC)
def test_an_address_that_is_not_of_the_public_internet_is_refused(text):
    assert why_not(text)


@for_each("text", PUBLIC)
def test_an_address_of_the_public_internet_is_not(text):
    assert why_not(text) == ""


BAD_URLS = [
    "http://example.com/",
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com#@127.0.0.1/",
    "https://example.com\\@127.0.0.1/",
    "\\\\example.com\\events",
    "//example.com/events",
    "https:example.com",
    "https:///events",
    "https://example.com:6379/",
    "https://example.com:22/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:443:80/",
    "https://example.com/a b",
    "https://example.com/\r\nX-A: b",
    "https://example.com\t/",
    "https://exämple.com/",
    "https://example。com/",
    "https://ⓔxample.com/",
    "https://example..com/",
    "https://-example.com/",
    "https://.example.com/",
    "https://example.com./",
    "https://exa_mple.com/",
    "https://%31%32%37.0.0.1/",
    "https://localhost/",
    "https://shop.localhost/",
    "https://LOCALHOST/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://127.0.0.1./",
    "https://example.0x/",
    "https://[::1]:443.example.com/",
    "https://[fe80::1%25eth0]/",
    "https://[example.com]/",
    "https://" + "a" * 64 + ".com/",
    "https://example.com/" + "a" * 2000,
    "file:///etc/passwd",
    "gopher://example.com/",
    "unix:/run/redis.sock",
    "ftp://example.com/",
    "javascript:alert(1)",
    "",
    *[f"https://{f'[{text}]' if ':' in text else text}/" for text in NOT_PUBLIC],
]


@for_each("url", BAD_URLS)
def test_a_url_that_could_lead_elsewhere_is_refused_when_it_is_saved(url, settings):
    settings.WEBHOOK_ALLOW = Allowed()

    with pytest.raises(BadConfig) as caught:
        WebhookConfig.read({"url": url, "secret": "shop"})

    assert list(caught.value.errors) == ["url"]


@for_each(
    "url",
    [
        "https://example.com",
        "https://example.com/",
        "https://example.com:8443/events?to=shop&x=%20",
        "https://xn--exmple-cua.com/",
        "https://hooks.example.com/a/../b",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:443/",
        "https://1.example.com/",
    ],
)
def test_a_url_of_the_public_internet_is_not(url, settings):
    settings.WEBHOOK_ALLOW = Allowed()

    assert WebhookConfig.read({"url": url, "secret": "shop"}).url == url


class Names:
    """A resolver that gives the configured answers in turn; the last one stays."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host, port):
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def send(receiver, settings):
    """Send an event to a host, as the resolver has it, on the port of the receiver; return the outcome."""
    settings.WEBHOOK_ALLOW = Allowed()

    def send(host, names, allowed=()):
        settings.WEBHOOK_ALLOW = target.read_allowed([*allowed])
        # What is refused when it is saved is tried all the same: a row may be older than a rule.
        config = WebhookConfig(url=f"https://{host}:{receiver.port}/", secret="shop")
        bridge = definition("webhook", handler_timeout_seconds=60)
        sink = WebhookSink(config, bridge, lookup=names)
        try:
            return sink.deliver([delivery({"event_type": "order-placed"})], always)[0]
        finally:
            sink.close()

    return send


@pytest.fixture
def any_port(monkeypatch, receiver):
    """The receiver's port is one of those that the public internet may be asked on."""
    monkeypatch.setattr(target, "PORTS", (*target.PORTS, receiver.port))


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["::1"]])
def test_a_name_is_refused_when_one_of_its_addresses_is(send, receiver, any_port, answer):
    outcome = send("shop.example.com", Names(answer))

    assert "Nothing was sent: shop.example.com resolves to what must not be used" in str(outcome)
    assert receiver.connections == 0


@for_each("text", [text for text in NOT_PUBLIC if "%" not in text])
def test_whatever_a_name_resolves_to_is_looked_at(send, receiver, any_port, text):
    outcome = send("shop.example.com", Names([text]))

    assert str(outcome).startswith("Nothing was sent")
    assert receiver.connections == 0


def test_a_name_that_cannot_be_resolved_is_a_failure(send, any_port):
    async def nowhere(host, port):
        raise OSError(-2, "Name or service not known")

    assert str(send("shop.example.com", nowhere)) == (
        "The name shop.example.com cannot be resolved: Name or service not known"
    )


def test_a_name_that_resolves_to_something_else_a_moment_later_gains_nothing(send, receiver, any_port, settings):
    # The first answer is one that may be used: the connection goes there and nowhere else (to a network that is
    # allowed, so that the test stays on this machine); the second is this receiver.
    names = Names(["127.0.0.9"], ["127.0.0.1"])

    outcome = send("shop.example.com", names, allowed=["127.0.0.9"])

    assert "No connection to shop.example.com" in str(outcome)
    assert (names.asked, receiver.connections) == (1, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f000001"])
def test_an_address_in_the_url_of_an_older_row_is_refused_at_each_delivery(receiver, settings, host, monkeypatch):
    # As if it had been saved while it was allowed.
    allowed_once = target.Target(
        url=f"http://{host}:{receiver.port}/", secure=False, host=host.strip("[]"), port=receiver.port, address=None
    )
    settings.WEBHOOK_ALLOW = Allowed()
    monkeypatch.setattr(target, "read_target", lambda *_: allowed_once)
    bridge = definition("webhook", handler_timeout_seconds=60)
    sink = WebhookSink(WebhookConfig(url=allowed_once.url, secret="shop"), bridge)

    (outcome,) = sink.deliver([delivery({"event_type": "order-placed"})], always)

    sink.close()
    assert outcome is not None
    assert receiver.connections == 0


def test_an_allowed_host_may_have_http_any_port_and_any_address():
    allowed = target.read_allowed(["receiver.internal", "*.deepiri.local", "10.1.0.0/16", "::1"])

    for url in (
        "http://receiver.internal:9000/",
        "http://RECEIVER.internal/",
        "http://a.b.deepiri.local:1/",
        "http://10.1.2.3:5000/",
        "http://[::1]:5000/",
    ):
        assert target.read_target(url, allowed).url == url
    for url in ("http://deepiri.local/", "http://10.2.0.1/", "http://evil-receiver.internal/", "http://internal/"):
        with pytest.raises(target.BadTarget):
            target.read_target(url, allowed)


@for_each("entry", ["10.0.0.0/40", "10.0.0.1/8", "http://example.com", "a b", "*", "*.", "127.1", "x:80"])
def test_an_allowed_entry_must_be_a_host_name_or_a_network(entry):
    with pytest.raises(ValueError, match="host names"):
        target.read_allowed([entry])
