"""Clients that mean harm: bodies without end, packed or lying; bytes that come one by one; many connections; requests
that are no JSON, no pictures, no sounds."""

import base64
import contextlib
import json
import socket
import threading
import time
import unittest

from server_program import DATA, Server, answer_of, question

CHAT = "/v1/chat/completions"
TIMEOUT_S = 2


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--context", "1024", "--timeout", str(TIMEOUT_S), "--max-body", "1M")

    @classmethod
    def tearDownClass(cls):
        start = time.monotonic()
        code, errors = cls.server.end()
        assert (code, errors) == (0, ""), (code, errors)
        assert time.monotonic() - start < 3

    def tearDown(self):
        # Whatever was sent, the next client is served at once.
        start = time.monotonic()
        self.assertEqual(self.server.post(CHAT, question("Hi"))[0], 200)
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(self.server.busy(), 0)

    def open(self, data=b""):
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        connection.sendall(data)
        return contextlib.closing(connection)

    def read_all(self, connection):
        data = b""
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(65536):
                data += more
        return data

    def head(self, *lines, path=CHAT):
        return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()

    def refused(self, data, status):
        """Is refused so, in the form of the API, and the connection closed, within a second."""
        start = time.monotonic()
        with self.open(data) as connection:
            answer = self.read_all(connection)
        self.assertLess(time.monotonic() - start, 1.5)
        self.assertTrue(answer.startswith(f"HTTP/1.1 {status}".encode()), answer[:200])
        self.assertEqual(json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["code"], status)

    def test_bodies_that_are_too_large_are_cut_off_at_once(self):
        self.refused(self.head("Content-Length: 99999999999"), 413)
        self.refused(self.head("Content-Length: 99999999999999999999999"), 413)
        self.refused(self.head("Content-Length: 300000000", "Expect: 100-continue"), 413)
        self.refused(self.head("Content-Length: 300000000", path="/nothing"), 413)
        self.refused(self.head("Content-Length: 110000000") + b"x" * 1000000, 413)
        # Below the limit of forms, above that of JSON: read, and refused.
        status, body = self.server.post(CHAT, question("a" * 1100000))
        self.assertEqual((status, body["error"]["code"]), (413, 413))

    def test_bodies_without_an_end_are_cut_off(self):
        before = self.server.resident_bytes()
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        with self.open(self.head("Transfer-Encoding: chunked")) as connection:
            n_sent = 0
            with contextlib.suppress(ConnectionError):
                while n_sent < 400:
                    connection.sendall(chunk)
                    n_sent += 1
            self.assertLess(n_sent, 120)  # the limit of forms, and what the system keeps on the way
            answer = self.read_all(connection)
        self.assertIn(answer[:12], (b"HTTP/1.1 413", b""))
        self.assertLess(self.server.resident_bytes() - before, 400 << 20)

    def test_bodies_that_lie_are_refused(self):
        self.refused(self.head("Content-Encoding: gzip", "Content-Length: 20") + b"x" * 20, 415)
        self.refused(self.head("Content-Length: 5", "Transfer-Encoding: chunked"), 400)
        self.refused(self.head("Content-Length: 5", "Content-Length: 6") + b"x" * 6, 400)
        self.refused(self.head("Content-Length: -5"), 400)
        self.refused(self.head("Content-Length: 0x10"), 400)
        # A body where none belongs is not taken for the next request.
        inner = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
        with self.open(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: " + str(len(inner)).encode() + b"\r\n\r\n"
                       + inner) as connection:
            self.assertEqual(self.read_all(connection).count(b"HTTP/1.1"), 1)

    def test_nothing_follows_what_is_no_header(self):
        body = json.dumps(question("Hi")).encode()
        for head in (b"post /v1/chat/completions HTTP/1.1\r\n", b"GET\r\n", b"PRI * HTTP/2.0\r\n", b"\x16\x03\x01\r\n",
                     b"GET /health HTTP/1.1\nHost: x\n"):
            with self.open(head + b"Host: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n" + body) as connection:
                answer = self.read_all(connection)
            self.assertEqual((answer[:12], answer.count(b"HTTP/1.1")), (b"HTTP/1.1 400", 1), answer)
        for coding in ("gzip, chunked", "gzip", "chunked, chunked"):
            self.refused(self.head("Transfer-Encoding: " + coding) + b"0\r\n\r\n", 400)

    def test_bodies_may_be_called_what_curl_calls_them(self):
        body = json.dumps(question("word " * 3000))
        for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8", ""):
            status, _, answer = self.server.call("POST", CHAT + "/input_tokens", body, {"Content-Type": kind})
            self.assertEqual(status, 200, answer)

    def test_old_clients_get_no_chunks(self):
        """Proxies ask as HTTP/1.0 unless they are told otherwise."""
        for stream in (False, True):
            body = json.dumps(question("Reverse the words: key ball boat gold seven", stream=stream)).encode()
            for more in (b"", b"Connection: keep-alive\r\n"):
                with self.open(b"POST %s HTTP/1.0\r\n%sContent-Length: %d\r\n\r\n%s" % (CHAT.encode(), more, len(body), body)) as c:
                    head, answer = self.read_all(c).split(b"\r\n\r\n", 1)
                self.assertNotIn(b"chunked", head)
                self.assertIn(b"Connection: close", head)
                if stream:
                    self.assertTrue(answer.endswith(b"\n\ndata: [DONE]\n\n"))
                else:
                    self.assertIn(b"Content-Length: %d\r\n" % len(answer), head + b"\r\n")
                    self.assertEqual(answer_of(json.loads(answer)), "seven gold boat ball key")

    def test_many_large_bodies_at_a_time_are_too_many(self):
        """The largest has 101 MB, with a recording: four of that size, together, and small ones always."""
        block = b" " * (1 << 20)
        with contextlib.ExitStack() as stack:
            for _ in range(5):
                connection = stack.enter_context(self.open(self.head(f"Content-Length: {100 << 20}")))
                with contextlib.suppress(ConnectionError):
                    for _ in range(99):
                        connection.sendall(block)
            self.assertIn(self.read_all(connection)[:12], (b"HTTP/1.1 429", b""))
            self.assertEqual(self.server.post(CHAT, question("Hi"))[0], 200)

    def test_ranges_do_not_multiply_answers(self):
        ranges = ",".join(f"0-{i}" for i in range(500))
        status, _, body = self.server.call("GET", "/", headers={"Range": "bytes=" + ranges})
        self.assertEqual((status, body[:9]), (200, b"<!DOCTYPE"))

    def test_headers_have_limits(self):
        with self.open(b"GET /health HTTP/1.1\r\n" + b"X-A: b\r\n" * 200000) as connection:
            self.assertIn(self.read_all(connection)[:12], (b"HTTP/1.1 400", b""))

    def test_bytes_one_by_one_end_at_the_timeout(self):
        for data in (b"", b"POST ", self.head("Content-Length: 100"), self.head("Content-Length: 100") + b"{"):
            start = time.monotonic()
            with self.open(data) as connection:
                connection.settimeout(0.2)
                while time.monotonic() - start < TIMEOUT_S + 8:
                    try:
                        if not connection.recv(4096):
                            break
                    except TimeoutError:
                        with contextlib.suppress(ConnectionError):
                            connection.sendall(b"a" if data else b"")
                    except ConnectionError:
                        break
            self.assertLess(time.monotonic() - start, TIMEOUT_S + 4, data)

    def test_idle_connections_do_not_shut_others_out(self):
        with contextlib.ExitStack() as stack:
            for i in range(400):
                stack.enter_context(self.open(b"" if i % 2 else b"GET / HT"))
            start = time.monotonic()
            self.assertEqual(self.server.call("GET", "/health")[0], 200)
            self.assertLess(time.monotonic() - start, 8)

    def test_requests_that_are_no_json_or_too_much_of_it(self):
        good = json.dumps(question("Hi"))
        for body in ("[" * 100000, '{"a":' * 5000, good.replace("40", "9" * 400), good.replace("40", "1e999"),
                     good.replace("Hi", "\udcff").encode("utf-8", "surrogateescape"), good.replace("Hi", "\\ud800"),
                     good + good, "\x00", '{"a":[' + "0," * 500000 + "0]}", '{"messages":' + "[" * 65 + "]" * 65 + "}"):
            status, _, answer = self.server.call("POST", CHAT, body)
            self.assertIn(status, (400,), (body[:60], answer))
            self.assertEqual(json.loads(answer)["error"]["type"], "invalid_request_error")

    def test_pictures_and_sounds_that_are_none(self):
        picture = (DATA / "pictures/shape.jpg").read_bytes()
        sound = (DATA / "sounds/sentence.flac").read_bytes()

        def ask(part):
            return self.server.post(CHAT, {"messages": [{"role": "user", "content": [part]}], "max_tokens": 1})

        def image(data):
            return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(data).decode()}}

        def audio(data):
            return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": "wav"}}

        bomb = (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0" + b"\0" * 400)
        for part in (image(b""), image(b"no picture"), image(picture[:300]), image(bomb), audio(b"no sound"),
                     audio(sound[:40]), audio(b"RIFF\xff\xff\xff\xffWAVEfmt " + b"\xff" * 60),
                     {"type": "image_url", "image_url": {"url": "data:image/png;base64,$$$"}},
                     {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
                     {"type": "image_url", "image_url": 7}, {"type": "input_audio", "input_audio": {"data": 5}},
                     {"type": "input_audio", "input_audio": {"data": "=" * 5000}}):
            status, body = ask(part)
            self.assertTrue(400 <= status < 500, (str(part)[:80], status, body))
        self.assertEqual(ask(image(picture))[0], 200)

    def test_clients_that_leave_while_pictures_and_prompts_are_read(self):
        picture = base64.b64encode((DATA / "pictures/shape.jpg").read_bytes()).decode()
        parts = [{"type": "image_url", "image_url": {"url": picture, "detail": "high"}}] * 16
        long = json.dumps({"messages": [{"role": "user", "content": "word " * 700}]}).encode()
        many = json.dumps({"messages": [{"role": "user", "content": parts}]}).encode()

        def leave(body, after_s):
            with self.open(self.head(f"Content-Length: {len(body)}") + body):
                time.sleep(after_s)

        threads = [threading.Thread(target=leave, args=(body, i * 0.01)) for i in range(8) for body in (long, many)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.server.wait_until_idle(5)
        self.assertEqual(answer_of(self.server.post(CHAT, question("Reverse the words: key ball boat gold seven"))[1]),
                         "seven gold boat ball key")


unittest.main(argv=["hostile_test"])
