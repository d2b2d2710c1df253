"""A client that sends arbitrary bytes and reads answers one by one."""

import socket


def request(method, path, body=b"", *headers):
    head = [f"{method} {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


class Connection:
    """A client that sends arbitrary bytes and reads answers one by one."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        """Return the next answer's status, headers and body."""
        status = int(self._file.readline().split()[1])
        headers = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, text = line.partition(b": ")
            headers[name.decode()] = text.decode()
        return status, headers, self._file.read(int(headers.get("content-length", 0)))

    def line(self):
        """Return the next line of an answer that goes on."""
        return self._file.readline()

    def is_closed(self):
        return self._file.read(1) == b""

    def rest(self):
        """Return what comes until the server closes the connection."""
        return self._file.read()

    def close(self):
        self._file.close()
        self.socket.close()
