"""Paths that try to be another, names that no stream can have, and questions that are none."""

from tests.hostile.cases import EVENT, JSON, Case


def get(target: str, status: int, alone: int | None = None) -> Case:
    return Case(name=f"GET {target[:60]}", method="GET", target=target, headers=(), status=status, alone=alone)


def publish(stream: str, status: int, alone: int | None = None) -> Case:
    target = f"/events/{stream}"
    return Case(name=f"POST {target[:60]}", target=target, headers=JSON, body=EVENT, status=status, alone=alone)


NO_PATHS = [
    "/streams//platform-events/info", "/%2e%2e/admin/", "/health/../streams", "/healthz/%2e%2e/streams",
    "/healthz/../registry/subjects",
    "/healthz;x=1", "/streams;x", "/healthz%00", "/streams%00", "/healthz.", "/streams.",
    "/HEALTHZ", "/streams/platform-events/info/more", "/static/../manage.py", "/static/%2e%2e/manage.py",

    "/static/..%2f..%2fmanage.py", "/static//etc/passwd", "/event", "/event/", "/%ff%fe",
    "/streams/%0d%0aSet-Cookie:%20a=b/more", "/" + "a" * 8000, "/" + "a/" * 4000,
]  # fmt: skip
NO_STREAMS = [
    "%7B%7D", "*", "%2A", "a%20b", "a%0Ab", "a%0D%0ASet-Cookie:%20b", "%00", "syn:x", "syn:%7Bplatform-events%7D:dlq:g",
    "a" * 101, "a" * 8000, "%E2%80%AE", "..%2f..", "platform-events%00", "platform-events%20", "..",
    "%F0%9F%92%A9", "%ff",
]  # fmt: skip
BAD_QUESTIONS = [
    "count=-1", "count=0", "count=1e3", "count=%D9%A1", "count=" + "9" * 400, "count=1&count=x", "before=x", "before=-",
    "before=99999999999999999999-1", "after=%00", "order=up",
]  # fmt: skip


def _of_subject(subject: str) -> int:
    # The registry says 422 of what can be no subject.
    return 422 if "%00" in subject else 404


CASES = [
    *(get(path, 404) for path in NO_PATHS),
    *(publish(stream, 404) for stream in NO_STREAMS),
    *(get(f"/streams/{stream}/info", 404) for stream in NO_STREAMS),
    *(get(f"/registry/subjects/{stream}/versions", _of_subject(stream)) for stream in NO_STREAMS if ".." not in stream),
    *(get(f"/streams/platform-events/messages?{question}", 400) for question in BAD_QUESTIONS),
    get("/streams?x=/healthz", 400),
    get("/admin/?x=/healthz", 302),
    get("/streams/?next=//evil.example", 400),
    get("/admin/login/?next=//evil.example/%0d%0aSet-Cookie:a=b", 200),
    get("/docs?script=&lang=%3Cscript%3E", 200),
    # The absolute form names the same resource; the host that counts is that of the header.
    get("http://evil.example/streams", 400, 404),
    # What the development server makes one slash of is no path of the front door.
    get("//streams", 404, 200),
    # Below the admin all that is not known asks who one is.
    get("/admin/../healthz", 302),
    get("/streams/platform-events/live?last_event_id=x", 400),
]
