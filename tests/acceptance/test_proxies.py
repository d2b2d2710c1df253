"""The proxies' configurations that the documents show, run: people log in through each, and pages publish.

In each run `tests/limits` has what the headers of proxies change: `test_logging_in_behind_proxies.py` for people, and
`test_foreign_origins.py` for pages.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.acceptance.hub import ADMIN_PASSWORD, ROOT, Hub
from tests.conftest import need
from tests.framing.proxies import NGINX_IN_FOLDER, program, running
from tests.patience import eventually
from tests.ports import free_port

pytestmark = [pytest.mark.process, pytest.mark.nightly]

HOST = "synapse.example"
CADDY = """
{{
	admin off
	auto_https disable_redirects
	local_certs
	skip_install_trust
	storage file_system {folder}
}}
{server}
"""


def sample(language: str) -> str:
    """Return the configuration that the document shows."""
    text = (ROOT / "docs/proxies.md").read_text(encoding="utf-8")
    return re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)[1]  # type: ignore[index]


def settings() -> dict[str, str]:
    return dict(line.split("=", 1) for line in sample("sh").split())


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub with the settings that the document shows."""
    hub = Hub(folder=tmp_path_factory.mktemp("behind"), port=free_port(), others=settings())
    hub.start()
    yield hub
    hub.stop()


def write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{HOST}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    (folder / f"{HOST}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@contextmanager
def nginx(folder: Path, upstream: int, change: dict[str, str]) -> Iterator[int]:
    port = free_port()
    write_certificate(folder)
    config = folder / "nginx.conf"
    config.write_text(NGINX_IN_FOLDER.format(folder=folder, server=changed("nginx", folder, port, upstream, change)))
    command = [program("nginx", "nginx"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]
    with running(command, port):
        yield port


@contextmanager
def caddy(folder: Path, upstream: int, change: dict[str, str]) -> Iterator[int]:
    port = free_port()
    config = folder / "Caddyfile"
    config.write_text(CADDY.format(folder=folder, server=changed("caddy", folder, port, upstream, change)))
    need(shutil.which("caddy"), "Caddy")
    with running(["caddy", "run", "--config", str(config), "--adapter", "caddyfile"], port):
        yield port


def changed(language: str, folder: Path, port: int, upstream: int, change: dict[str, str]) -> str:
    """Return the sample with what differs here: ports, where the certificate is, and what a test changes."""
    replaced = {
        **change,
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/": f"{folder}/",
        f"{HOST} {{": f"https://{HOST}:{port} {{",
        "127.0.0.1:8002": f"127.0.0.1:{upstream}",
    }
    text = sample(language)
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


class Browser:
    """A person's browser, for which the proxy's address is that of the host."""

    def __init__(self, port: int) -> None:
        self.page = f"https://{HOST}:{port}"
        self.cookies = httpx.Cookies()
        self._url = f"https://127.0.0.1:{port}"

    def ask(self, method: str, path: str, **options: object) -> httpx.Response:
        headers = {
            "Host": self.page.removeprefix("https://"),
            "Origin": self.page,
            "Referer": f"{self.page}/admin/login/",
        }
        with httpx.Client(verify=False, cookies=self.cookies) as client:
            answer = client.request(
                method, self._url + path, headers=headers, extensions={"sni_hostname": HOST}, **options
            )
        self.cookies.update(answer.cookies)
        return answer

    def log_in(self) -> int:
        page = self.ask("GET", "/admin/login/")
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        form = {"csrfmiddlewaretoken": token, "username": "admin", "password": ADMIN_PASSWORD, "next": "/admin/"}
        return self.ask("POST", "/admin/login/", data=form).status_code


PROXIES = {
    "nginx": (nginx, {}),
    "nginx that asks for another host": (nginx, {"proxy_set_header Host $http_host;": ""}),
    "Caddy": (caddy, {}),
    "Caddy that asks for another host": (
        caddy,
        {"127.0.0.1:8002\n": "127.0.0.1:8002 {\n\t\theader_up Host upstream\n\t}\n"},
    ),
}


@pytest.mark.parametrize(("proxy", "change"), PROXIES.values(), ids=PROXIES)
def test_people_log_in_and_pages_of_the_same_origin_publish_through_a_proxy(behind, tmp_path, proxy, change):
    with proxy(tmp_path, behind.port, change) as port:
        browser = Browser(port)
        # Caddy listens before it has made its certificate.
        eventually(lambda: browser.ask("GET", "/healthz").status_code == 200, despite=httpx.ConnectError)

        assert browser.log_in() == 302
        assert browser.ask("GET", "/admin/").status_code == 200
        event = {"event_type": "note-made"}
        assert browser.ask("POST", "/events/platform-events", json=event).status_code == 201
        assert browser.ask("GET", "/streams").headers["strict-transport-security"]
