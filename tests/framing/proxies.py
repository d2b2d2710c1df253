"""nginx and HAProxy in front of a server, set up as for WebSockets.

Both pass Upgrade on, and keep one connection to the server for all clients.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import need
from tests.patience import eventually
from tests.ports import free_port

# An nginx of a test, with all its files in `folder`.
NGINX_IN_FOLDER = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/client-bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""
NGINX = NGINX_IN_FOLDER.replace(
    "{server}",
    """map $http_upgrade $connection_upgrade {{
        default upgrade;
        '' '';
    }}
    upstream synapse {{
        server 127.0.0.1:{upstream};
        keepalive 1;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://synapse;
            proxy_http_version 1.1;
            proxy_set_header Host localhost;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_request_buffering off;
        }}
    }}
""",
)
HAPROXY = """
global
    maxconn 100
defaults
    mode http
    timeout connect 30s
    timeout client 30s
    timeout server 30s
frontend clients
    bind 127.0.0.1:{port}
    default_backend synapse
backend synapse
    http-reuse always
    server synapse 127.0.0.1:{upstream} pool-max-conn 1
"""


def program(name: str, called: str) -> str:
    """Return where a server is, which a test that needs it is skipped without."""
    # Debian keeps servers where only root looks.
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    need(found, called)
    return str(found)


@contextmanager
def running_nginx(folder: Path, upstream: int) -> Iterator[int]:
    """Run nginx for as long as the block lasts, and return its port."""
    config = folder / "nginx.conf"
    port = free_port()
    config.write_text(NGINX.format(folder=folder, port=port, upstream=upstream))
    with running(
        [program("nginx", "nginx"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)], port
    ):
        yield port


@contextmanager
def running_haproxy(folder: Path, upstream: int) -> Iterator[int]:
    """Run HAProxy for as long as the block lasts, and return its port."""
    config = folder / "haproxy.cfg"
    port = free_port()
    config.write_text(HAPROXY.format(port=port, upstream=upstream))
    with running([program("haproxy", "HAProxy"), "-db", "-f", str(config)], port):
        yield port


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """Run a server for as long as the block lasts, which begins when its port answers."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _listens(process, port), despite=ConnectionRefusedError)
        yield
    finally:
        process.terminate()
        process.wait()


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, f"{process.args} ended with {process.returncode}"
    socket.create_connection(("127.0.0.1", port)).close()
    return True
