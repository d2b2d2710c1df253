"""The notification sink tells people of alerts through apprise, and nobody of its receiver's URL."""

import errno
import json
import os
import sys
import threading
from base64 import b64decode
from email import message_from_string
from email.policy import default as email_policy
from pathlib import Path

import pytest

from bridges.sinks import notification
from bridges.sinks.notification import NotificationConfig, NotificationSink
from synapse.delivery.notifications.messages import is_for_people, messages_of
from synapse.delivery.sink import Delivery
from synapse.delivery.webhooks import target
from synapse.errors.delivery import BadConfig, NotBegun, SinkAway, SinkBroken, SinkDisabled
from synapse.formats.text import ALERTS_STREAM
from synapse.wire.encoding import DecodedEntry
from tests.bridges.cast import always
from tests.bridges.notified import ALERT, RESOLVED, SUMMARY, TOKENS, alerts_of, texts_of
from tests.bridges.receiver import answer
from tests.bridges.sinks import definition
from tests.fork_server import started_by_themselves
from tests.tables import for_each

OK = answer(200, body=b"ok")
pytestmark = [pytest.mark.usefixtures("db"), pytest.mark.process]


@pytest.fixture
def chat(receivers, settings):
    """A chat that takes messages, and whose URL is the secret `chat`."""
    chat = receivers.http()
    chat.always(answer(202))
    use(settings, f"workflows://127.0.0.1:{chat.port}/{'/'.join(TOKENS)}")
    return chat


def use(settings, url):
    settings.BRIDGE_SECRETS = {"SYNAPSE_SECRET_CHAT": url}


@pytest.fixture
def sink():
    """Open a sink: `sink(handler_timeout_seconds=1)`."""
    opened = []

    def make(**columns):
        bridge = definition("notification", **{"handler_timeout_seconds": 15, "stream": ALERTS_STREAM, **columns})
        opened.append(
            NotificationSink.open(NotificationConfig.read({"target": "chat"}), bridge, stopping=lambda: False)
        )
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def event_of(event, id_="17-0", stream=ALERTS_STREAM):
    delivery = Delivery(stream=stream, id=id_, attempt=1, parts=())
    delivery.entry = DecodedEntry(
        event=dict(event),
        event_type=event.get("event_type", ""),
        timestamp=None,
        source=None,
        contract_version=None,
        layout="flat",
    )
    return delivery


def test_a_chat_gets_all_properties_of_an_alert_and_a_message_when_it_is_resolved(chat, sink):
    outcomes = sink().deliver([event_of(alerts_of(ALERT)), event_of(alerts_of(RESOLVED), "18-0")], always)

    assert outcomes == [None, None]
    (title, body), (end, over) = texts_of(chat)
    assert title == "firing: bridge orders-to-shop fails"
    assert body.splitlines() == [
        SUMMARY,
        "Severity: critical",
        "Since: 2026-11-30T02:14:00Z",
        "Owner: Team Shop",
        "Runbook: https://wiki.example.com/shop",
        "Labels: team=shop",
        "Open: https://synapse.example.com/admin/bridges/bridge/1/statistics/",
    ]
    assert end == "resolved: bridge orders-to-shop fails"
    assert over.startswith(SUMMARY)
    assert "apprise" not in sys.modules


def test_a_receiver_that_hangs_ends_the_child_and_the_next_event_gets_another(chat, sink):
    held, opened = threading.Event(), sink(handler_timeout_seconds=1)
    chat.answers = lambda number: (lambda _: held.wait(60) and False) if number == 0 else answer(202)

    first, second = opened.deliver([event_of(ALERT), event_of(ALERT, "18-0")], always)

    held.set()
    assert (first.failure, str(first)) == ("timeout", "The receiver took longer than 1 s")
    assert second is None


# What a receiver does: how the failure is called, a part of its text, and for how long to wait.
REFUSALS = {
    "404": (answer(404, body=b"no_service"), "http-4xx", "The receiver answered: 404 after", None),
    "429": (answer(429, retry_after="7"), "http-4xx", "The receiver answered: 429 after", 7),
    "503": (answer(503), "http-5xx", "The receiver answered: 503 after", None),
    "302": (answer(302, location="http://127.0.0.1:1/"), "http-3xx", "The receiver redirected, which is not", None),
    "the URL in its answer": (answer(400, body="/".join(TOKENS).encode()), "http-4xx", "“***/***”", None),
    "hangs up": (lambda connection: connection.close() or False, "connection", "The receiver cannot be reached", None),
    "no HTTP": (
        lambda connection: connection.sendall(b"SSH-2.0-x\r\n") or False,
        "connection",
        "The receiver cannot",
        None,
    ),
}


def test_a_receiver_that_refuses_is_a_failed_attempt_that_does_not_name_its_url(chat, sink):
    opened, outcomes = sink(), {}
    for name, (said, *_) in REFUSALS.items():
        chat.always(said)
        (outcomes[name],) = opened.deliver([event_of(ALERT)], always)

    for name, (_, failure, text, wait) in REFUSALS.items():
        outcome = outcomes[name]
        assert (outcome.failure, outcome.retry_after, outcome.permanent) == (failure, wait, False), name
        assert text in str(outcome), name
        assert not any(token in str(outcome) for token in TOKENS), name


def test_a_receiver_that_is_gone_disables_the_bridge(chat, sink):
    chat.always(answer(410))

    (outcome,) = sink().deliver([event_of(ALERT)], always)

    assert isinstance(outcome, SinkDisabled)


def test_a_redirect_is_not_followed(receivers, chat, sink):
    other = receivers.http("other.example.com")
    chat.always(answer(307, location=f"https://127.0.0.1:{other.port}/"))

    sink().deliver([event_of(ALERT)], always)

    assert (len(chat.got), other.got) == (1, [])


def test_an_answer_without_end_is_read_to_a_limit(chat, sink):
    def pour(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
        try:
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            return False

    chat.always(pour)

    (outcome,) = sink().deliver([event_of(ALERT)], always)

    assert outcome is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "inside.example.com"])
def test_a_notification_to_an_address_that_is_not_allowed_is_not_sent(receivers, chat, sink, settings, host):
    settings.WEBHOOK_ALLOW = target.read_allowed(["other.example.com"])
    receivers.lead("inside.example.com", chat.port)
    use(settings, f"workflows://{host}:{chat.port}/{'/'.join(TOKENS)}")

    (outcome,) = sink().deliver([event_of(ALERT)], always)

    assert "Nothing was sent: " in str(outcome)
    assert "is not an address of the public internet" in str(outcome)
    assert (chat.connections, chat.got) == (0, [])


def test_a_host_that_is_allowed_by_its_name_may_have_a_private_address(receivers, sink, settings):
    chat = receivers.http("chat.internal")
    settings.WEBHOOK_ALLOW = target.read_allowed(["*.internal"])
    use(settings, f"workflows://chat.internal:{chat.port}/{'/'.join(TOKENS)}")
    chat.always(answer(202))

    assert sink().deliver([event_of(ALERT)], always) == [None]


def test_a_certificate_of_another_name_is_refused(receivers, chat, sink, settings):
    receivers.lead("chat.example.com", chat.port)
    use(settings, f"workflows://chat.example.com:{chat.port}/{'/'.join(TOKENS)}")

    (outcome,) = sink().deliver([event_of(ALERT)], always)

    assert str(outcome) == "The receiver's certificate is not valid for its name"
    assert chat.got == []


@for_each(
    "parameter",
    ["verify=no", "Verify=no", "%76erify=no", "redirect=yes", "template=file:///etc/passwd", "+a=b", ":a=b", "x=y"],
)
def test_a_parameter_that_would_switch_a_protection_off_is_refused(chat, sink, settings, parameter):
    use(settings, f"workflows://127.0.0.1:{chat.port}/{'/'.join(TOKENS)}?{parameter}")

    with pytest.raises(SinkAway, match="holds a parameter that workflows:// must not have here") as refusal:
        sink().deliver([event_of(ALERT)], always)

    assert not any(token in str(refusal.value) for token in TOKENS)
    assert chat.got == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("slack://not-a-token", "holds a URL that apprise"),
        ("pagerduty://", "must hold a URL of apprise"),
        ("mails://user:pass1234@example.com?mode=insecure", "holds a URL for mail without TLS"),
        ("discord://only-one-part", "holds a URL that apprise"),
    ],
)
def test_a_url_that_names_no_receiver_lets_the_bridge_wait_and_is_not_repeated(sink, settings, url, said):
    use(settings, url)

    with pytest.raises((SinkAway, BadConfig)) as refusal:
        sink().deliver([event_of(ALERT)], always)

    assert said in str(refusal.value)
    assert url.partition("://")[2] == "" or url.partition("://")[2] not in str(refusal.value)


def test_the_url_is_in_no_argument_and_no_environment_of_a_process(chat, sink, settings, monkeypatch):
    monkeypatch.setenv("SYNAPSE_SECRET_OTHER", "an-other-secret")
    seen, here = [], Path("/proc")

    def look(connection):
        for child in here.iterdir():
            try:
                said = (child / "cmdline").read_bytes(), (child / "environ").read_bytes()
            except OSError:
                continue
            if b"notifications.child" in said[0]:
                seen.append(said)
        return answer(202)(connection)

    chat.always(look)

    with started_by_themselves():
        assert sink().deliver([event_of(ALERT)], always) == [None]

    assert seen
    for secret in (*TOKENS, "an-other-secret"):
        assert not any(secret.encode() in part for process in seen for part in process)


@for_each(
    "url, said",
    [
        ("json://example.com/tok3n", "webhook bridge"),
        ("jsons://example.com/tok3n", "webhook bridge"),
        ("form://example.com/tok3n", "webhook bridge"),
        ("xml://example.com/tok3n", "webhook bridge"),
        ("http://example.com/tok3n", "webhook bridge"),
        ("https://hooks.slack.com/services/tok3n", "webhook bridge"),
        ("file:///tok3n", "webhook bridge"),
        ("syslog://tok3n", "webhook bridge"),
        ("mailto://user:tok3n@example.com", "use mails://"),
        ("msteams://tok3n/a/b/c", "use a workflow, workflows://"),
        ("slack://a/b/tok3n json://example.com", "must hold a URL of apprise"),
        ("slack:tok3n", "must hold a URL of apprise"),
        ("tok3n", "must hold a URL of apprise"),
        ("slack://" + "tok3n" * 500, "must hold a URL of apprise"),
    ],
)
def test_a_secret_with_another_url_is_refused_without_being_repeated(settings, url, said):
    use(settings, url)

    with pytest.raises(BadConfig) as refusal:
        NotificationConfig.read({"target": "chat"})

    assert said in refusal.value.errors["target"]
    assert "tok3n" not in str(refusal.value)


@for_each("value", ["slack://tok3n/b/c", "https://hooks.slack.com/tok3n", "a tok3n", "", "tok3n\n"])
def test_a_url_in_place_of_the_name_of_a_secret_is_refused_without_being_repeated(value):
    with pytest.raises(BadConfig) as refusal:
        NotificationConfig.read({"target": value})

    assert "must be the name of a secret" in refusal.value.errors["target"]
    assert "tok3n" not in str(refusal.value)


def test_a_sink_without_apprise_says_what_to_install(chat, sink, monkeypatch):
    monkeypatch.setattr(notification.process, "is_installed", lambda: False)

    with pytest.raises(SinkBroken, match=r"The package apprise, .* is not installed: pip install"):
        sink()


def test_a_process_that_cannot_be_started_lets_the_bridge_wait_and_costs_no_attempt(chat, sink, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(notification.process.subprocess, "Popen", refuse)

    with pytest.raises(SinkAway, match="cannot be started: Resource temporarily unavailable"):
        sink().deliver([event_of(ALERT)], always)
    with pytest.raises(SinkAway):
        sink().try_out(event_of(ALERT))


def test_an_event_that_may_not_begin_starts_no_process(chat, sink, monkeypatch):
    monkeypatch.setattr(notification, "NotificationProcess", None)

    (outcome,) = sink().deliver([event_of(ALERT)], lambda: False)

    assert isinstance(outcome, NotBegun)


def test_a_test_event_shows_what_the_receiver_said(chat, sink):
    chat.always(answer(404, body=b"no_service"))

    trial = sink().try_out(event_of(ALERT))

    assert (trial.is_taken, trial.status, trial.text) == (False, 404, "no_service")
    assert texts_of(chat)[0][0] == "Test: firing: bridge orders-to-shop fails"


def test_an_event_that_is_no_alert_is_told_without_its_content(chat, sink):
    hostile = {**ALERT, "event_type": "alert-notification", "name": "Jane Doe"}
    ordinary = {"event_type": "order-placed", "name": "Jane Doe"}

    outcomes = sink(stream="orders").deliver(
        [event_of(hostile, "17-0", "orders"), event_of(ordinary, "18-0", "orders"), event_of({}, "19-0", "orders")],
        always,
    )

    assert outcomes == [None, None, None]
    assert texts_of(chat) == [
        ("alert-notification in orders", "Event 17-0 of the stream orders, type: alert-notification"),
        ("order-placed in orders", "Event 18-0 of the stream orders, type: order-placed"),
        ("An event without a type in orders", "Event 19-0 of the stream orders, type: none"),
    ]


def test_changes_of_alerts_are_told_only_to_a_bridge_that_selects_them(chat, sink):
    change = event_of({**ALERT, "event_type": "alert-changed"})

    assert sink().deliver([change], always) == [None]
    assert chat.got == []
    assert sink(event_types=frozenset({"alert-changed"})).deliver([change], always) == [None]
    assert texts_of(chat)[0][0] == "firing: bridge orders-to-shop fails"
    assert is_for_people(event_of(ALERT), is_selected=False)


def test_a_message_mentions_no_chat_members_and_has_no_invisible_characters():
    sentence = "bridge x fails: @everyone @here \x1b[31m\u202e two\nlines"

    (message,) = messages_of(event_of({**ALERT, "sentence": sentence, "owner": "\0"}), one_each=False)

    assert "@everyone" not in message.body
    assert "@here" not in message.body
    assert all(line.isprintable() for line in message.body.replace("\N{WORD JOINER}", "").splitlines())


@for_each(
    "text, mark",
    [
        ("<@123>", "<@"),
        ("<@&42>", "<@"),
        ("<#7>", "<#"),
        ("<!here|x>", "<!"),
        ("<at>all</at>", "<at>"),
        ("[pay](https://evil.example)", "]("),
        ("@Here", "@Here"),
    ],
)
def test_a_mark_of_a_chat_in_a_message_is_broken(text, mark):
    alert = {**ALERT, "sentence": f"bridge x fails {text}", "owner": text}

    (message,) = messages_of(event_of(alert), one_each=False)

    assert mark not in message.title + message.body


@for_each("text", ["a < b", "x[0] (of 3)", "ops@example.com", "List<int>", "<html>"])
def test_a_text_that_only_looks_like_a_mark_stays(text):
    (message,) = messages_of(event_of({**ALERT, "owner": text}), one_each=False)

    assert f"Owner: {text}" in message.body.splitlines()


def test_a_message_stays_short_however_much_there_is_to_say():
    long = {**ALERT, "sentence": "x" * 10_000, "owner": "o" * 10_000, "labels": {str(n): "l" * 200 for n in range(20)}}

    (message,) = messages_of(event_of(alerts_of(long, 20)), one_each=False)

    assert (len(message.title), len(message.body)) == (200, 1800)


def test_an_alert_with_wrong_properties_is_sent_without_them_or_as_an_ordinary_event():
    for wrong in ({"sentence": 7}, {"sentence": ""}, {"sentence": None}):
        (message,) = messages_of(event_of({**ALERT, **wrong}), one_each=True)

        assert message.title == "alert-notification in synapse-alerts"
    for strange in ({"alerts": 7}, {"alerts": [None, "a"]}, {"labels": ["a"]}, {"link": "javascript:alert(1)"}):
        (message,) = messages_of(event_of({**ALERT, **strange}), one_each=True)

        assert message.title == "firing: bridge orders-to-shop fails"
        assert message.link in ("", ALERT["link"])


URLS = {
    "hooks.slack.com": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops",
    "slack.com": "slack://xoxb-1234-1234-abc124/#ops",
    "discord.com": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
}


@pytest.mark.parametrize("host", URLS)
def test_each_kind_of_chat_gets_an_alert_through_its_own_protocol(receivers, sink, settings, host):
    chat = receivers.http(host)
    chat.always(answer(200, body=b'{"ok": true}' if host == "slack.com" else b"ok"))
    use(settings, URLS[host])

    assert sink().deliver([event_of(alerts_of(ALERT))], always) == [None]

    (got,) = chat.got
    assert SUMMARY in json.dumps(got.json)
    # Slack has the channel of the URL, and no other.
    assert got.json.get("channel") == ("#ops" if "slack" in host else None)


def test_a_refusal_that_a_chat_answers_with_status_200_is_a_failed_attempt(receivers, sink, settings):
    chat = receivers.http("slack.com")
    chat.always(answer(200, body=b'{"ok": false, "error": "channel_not_found"}'))
    use(settings, URLS["slack.com"])

    (outcome,) = sink().deliver([event_of(ALERT)], always)

    assert "channel_not_found" in str(outcome)
    assert "xoxb" not in str(outcome)


def test_a_pager_opens_an_incident_for_each_alert_and_closes_it_by_the_same_key(receivers, sink, settings):
    pager = receivers.http("events.pagerduty.com")
    pager.always(answer(202))
    use(settings, "pagerduty://A1BRTD4JD@TIiajkdnlazkcOXrIdevi7FQ")

    assert (
        sink().deliver([event_of(alerts_of(ALERT, 2)), event_of(alerts_of(RESOLVED, 2), "18-0")], always) == [None] * 2
    )

    told = [(one.json["event_action"], one.json["dedup_key"]) for one in pager.got]
    assert told == [
        ("trigger", ALERT["alert"]),
        ("trigger", f"{ALERT['alert']}-1"),
        ("resolve", ALERT["alert"]),
        ("resolve", f"{ALERT['alert']}-1"),
    ]
    assert pager.got[0].json["links"] == [{"href": ALERT["link"]}]
    assert pager.got[0].json["payload"]["severity"] == "critical"


def test_opsgenie_opens_an_alert_and_closes_it_by_its_alias(receivers, sink, settings):
    pager = receivers.http("api.opsgenie.com")
    pager.always(answer(202, body=b'{"requestId": "r1"}'))
    use(settings, "opsgenie://a6k4ABnck26hDh8AA3EDHoOVdDEUlw3nty")

    # Two batches are two child processes.
    opened = sink()
    assert opened.deliver([event_of(alerts_of(ALERT))], always) == [None]
    assert opened.deliver([event_of(alerts_of(RESOLVED), "18-0")], always) == [None]

    first, last = pager.got
    assert first.json["alias"] == ALERT["alert"]
    assert last.line.split()[1] == ("/v2/alerts/bridge-dead-letters%20group%3Aorders%2Fshop/close?identifierType=alias")


def test_a_mail_is_sent_over_tls(receivers, sink, settings):
    server = receivers.mail("mail.example.com")
    use(
        settings,
        "mails://ops:pass1234@example.com?smtp=mail.example.com&mode=ssl&from=synapse@example.com&to=ops@example.com",
    )

    assert sink().deliver([event_of(alerts_of(ALERT))], always) == [None]

    (mail,) = [message_from_string(text, policy=email_policy) for text in server.mails]
    assert (mail["Subject"], mail["To"]) == ("firing: bridge orders-to-shop fails", "ops@example.com")
    assert SUMMARY in mail.get_body(("plain",)).get_content()
    assert b64decode(server.logins[0].split()[2]) == b"\0ops\0pass1234"


def test_a_mail_that_is_refused_is_a_failed_attempt_with_the_reason(receivers, sink, settings):
    server = receivers.mail("mail.example.com")
    server.refusal = "550 no such user, pass1234"
    use(
        settings,
        "mails://ops:pass1234@example.com?smtp=mail.example.com&mode=ssl&from=synapse@example.com&to=ops@example.com",
    )

    (outcome,) = sink().deliver([event_of(ALERT)], always)

    assert "550" in str(outcome)
    assert "pass1234" not in str(outcome)


def test_the_event_after_a_died_process_gets_a_new_one(chat, sink):
    opened = sink()
    seen = []

    def kill_it(number):
        if number == 0:
            opened._process._process.kill()
        seen.append(number)
        return answer(202)

    chat.answers = kill_it
    first, second = opened.deliver([event_of(ALERT), event_of(ALERT, "18-0")], always)

    assert second is None
    assert seen == [0, 1]
    assert str(first) == "The process that sends ended"
