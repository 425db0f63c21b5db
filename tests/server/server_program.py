"""Starts `gemlet serve` for a test and talks to it. Arguments: PROGRAM SOURCE_DIR SHARED_DATA."""

import contextlib
import http.client
import json
import pathlib
import re
import signal
import subprocess
import sys
import time

PROGRAM, SOURCE, SHARED = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
DATA = SOURCE / "examples/data"


class Server:
    """A running server; `port` is one the system chose."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", str(DATA / "gemma-4-nano"), "--port", "0", "--threads", "1", *options],
            stderr=subprocess.PIPE, encoding="utf-8")
        for line in self.process.stderr:
            found = re.search(r"http://127\.0\.0\.1:(\d+)/v1", line)
            if found:
                self.port = int(found.group(1))
                return
        raise RuntimeError("the server did not start")

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def call(self, method, path, body=None, headers=None):
        """Returns status, headers and body as bytes."""
        with contextlib.closing(self.connect()) as connection:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def post(self, path, body):
        status, _, data = self.call("POST", path, body)
        return status, json.loads(data)

    def form(self, path, fields, file=None):
        """Posts multipart/form-data."""
        parts = []
        for name, value in fields.items():
            parts.append(f'--b0\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        if file is not None:
            parts.append(b'--b0\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n'
                         b"Content-Type: application/octet-stream\r\n\r\n" + file + b"\r\n")
        body = b"".join(parts) + b"--b0--\r\n"
        return self.call("POST", path, body, {"Content-Type": "multipart/form-data; boundary=b0"})

    def busy(self):
        return sum(slot["is_processing"] for slot in json.loads(self.call("GET", "/slots")[2]))

    def wait_until_idle(self, most_s):
        """Returns how long that took."""
        start = time.monotonic()
        while self.busy():
            assert time.monotonic() - start < most_s, "a slot is stuck"
            time.sleep(0.005)
        return time.monotonic() - start

    def resident_bytes(self):
        pages = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * 4096

    def end(self):
        """Ends it as Ctrl-C does; returns the exit code and what it wrote to stderr."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


def question(text, **more):
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 40, **more}


def answer_of(body):
    return body["choices"][0]["message"]["content"]
