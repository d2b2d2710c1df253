import json


def test_x(client, redis, define):
    define("orders", {"placed": {"type": "object", "required": ["n"]}})
    r = client.post("/events/orders", json.dumps({"event_type": "placed", "n": 1}), content_type="application/json")
    assert r.status_code == 201, r.content
    r = client.post("/events/orders", json.dumps({"event_type": "placed"}), content_type="application/json")
    assert r.status_code == 422, r.content
    assert client.get("/nope").status_code == 404
    assert client.get("/openapi.json").status_code == 200
