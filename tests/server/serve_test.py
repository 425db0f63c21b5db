"""The server from outside: HTTP, forms, clients that leave, many clients at a time, its end."""

import base64
import io
import json
import math
import pathlib
import random
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
import wave

from server_program import DATA, PROGRAM, SHARED, Server, answer_of, question

CHAT = "/v1/chat/completions"
ENDLESS = {"messages": [{"role": "user", "content": "Count"}], "temperature": 0,
           "logit_bias": {"1": -100, "50": -100, "105": -100, "106": -100}}
QUESTIONS = ["Reverse the words: key ball boat gold seven", "Reverse the words: red tree house",
             "Sort the words: pear apple fig", "What is the opposite of hot?", "Count to five",
             "Reverse the words: one two three four five six"]


def send_raw(server, data):
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(data)
    return connection


def raw_post(path, body):
    data = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


class Serving(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--parallel", "4", "--context", "1024", "--queue", "64")

    @classmethod
    def tearDownClass(cls):
        code, errors = cls.server.end()
        assert (code, errors) == (0, ""), (code, errors)

    def test_says_what_it_is(self):
        self.assertEqual(self.server.call("GET", "/health")[2], b'{"status":"ok"}')
        models = json.loads(self.server.call("GET", "/v1/models")[2])
        self.assertEqual(models["data"][0]["id"], "gemma-4-nano")
        self.assertEqual(self.server.call("GET", "/nothing")[0], 404)
        self.assertEqual(self.server.call("DELETE", CHAT)[0], 405)
        self.assertEqual(self.server.call("GET", "/props")[0], 200)
        self.server.post(CHAT, question("Hi"))
        text = self.server.call("GET", "/metrics")[2].decode()
        self.assertIn('gemma_requests_total{path="/v1/chat/completions",status="200"}', text)
        self.assertIn('gemma_first_token_seconds_bucket{le="+Inf"}', text)

    def test_tokens_and_back(self):
        status, body = self.server.post("/tokenize", {"content": "Hi ü", "add_special": True})
        self.assertEqual((status, body["tokens"][0]), (200, 2))
        status, body = self.server.post("/detokenize", {"tokens": body["tokens"][1:]})
        self.assertEqual((status, body["content"]), (200, "Hi ü"))

    def test_prompts_are_those_of_the_template(self):
        vectors = SHARED / "data/chat/render.jsonl"
        if not vectors.exists():
            self.skipTest("no reference data")
        # What the server repairs or refuses on purpose: text beside calls, schemas the template cannot
        # express, arguments as text, media without content, no messages.
        repaired = {"complex arguments", "type list quirk", "parameters without type quirk", "no messages",
                    "array items with type list and enum numbers", "image before text", "video and audio mix",
                    "text and calls in one message, results last", "tool content parts"}
        n_same = 0
        for line in vectors.read_text(encoding="utf-8").splitlines():
            vector = json.loads(line)
            if vector["template"] != "e2b" or vector["name"] in repaired or vector["prompt"] is None:
                continue
            flags = vector["flags"] or {}
            status, body = self.server.post("/apply-template", {
                "messages": vector["messages"], "tools": vector["tools"], "continue_final_message": False,
                "add_generation_prompt": flags.get("add_generation_prompt", False),
                "chat_template_kwargs": {name: flags[name] for name in ("enable_thinking", "preserve_thinking")
                                         if name in flags}})
            self.assertEqual((status, body.get("prompt")), (200, vector["prompt"]), vector["name"])
            n_same += 1
        self.assertGreater(n_same, 70)

    def test_pictures_and_sounds_are_remembered_between_turns(self):
        picture = base64.b64encode((DATA / "pictures/shape.jpg").read_bytes()).decode()
        parts = [{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + picture}},
                 {"type": "text", "text": "What is this?"}]
        system = " ".join(f"Rule {i} is kept." for i in range(40))
        messages = [{"role": "system", "content": system}, {"role": "user", "content": parts}]
        status, first = self.server.post(CHAT, {"messages": messages, "temperature": 0})
        self.assertEqual(status, 200, first)
        n_first = first["usage"]["prompt_tokens"]
        self.assertGreater(n_first, 500)
        messages += [{"role": "assistant", "content": answer_of(first)},
                     {"role": "user", "content": "And now?"}]
        status, second = self.server.post(CHAT, {"messages": messages, "temperature": 0})
        self.assertEqual(status, 200, second)
        self.assertGreaterEqual(second["usage"]["prompt_tokens_details"]["cached_tokens"], n_first)
        self.assertLess(second["timings"]["prompt_n"], 25)
        sound = base64.b64encode((DATA / "sounds/sentence.flac").read_bytes()).decode()
        parts = [{"type": "input_audio", "input_audio": {"data": sound, "format": "flac"}},
                 {"type": "text", "text": "Transcribe the following speech segment in its original language."}]
        status, spoken = self.server.post(CHAT, {"messages": [{"role": "user", "content": parts}], "temperature": 0})
        self.assertEqual(status, 200, spoken)
        self.assertIn("7 blue", answer_of(spoken))

    def test_transcribes_in_every_format(self):
        file = (DATA / "sounds/sentence.flac").read_bytes()
        path = "/v1/audio/transcriptions"
        expected = {"json": "application/json", "text": "text/plain", "srt": "application/x-subrip",
                    "vtt": "text/vtt", "verbose_json": "application/json"}
        for form, kind in expected.items():
            status, headers, body = self.server.form(path, {"response_format": form, "language": "en"}, file)
            self.assertEqual(status, 200, body)
            self.assertTrue(headers["Content-Type"].startswith(kind))
            self.assertIn("Maria has 7 blue cars.", body.decode())
        status, _, body = self.server.form("/v1/audio/translations", {"to_language": "French", "language": "en",
                                                                      "response_format": "verbose_json"}, file)
        self.assertEqual((status, json.loads(body)["task"]), (200, "translate"))
        status, _, body = self.server.form(path, {"stream": "true"}, file)
        self.assertIn(b'"transcript.text.done"', body)
        usage = json.loads(self.server.form(path, {"language": "en"}, file)[2])["usage"]
        self.assertEqual(usage["type"], "tokens")
        self.assertGreater(usage["input_token_details"]["audio_tokens"], 20)
        self.assertEqual(usage["input_tokens"], sum(usage["input_token_details"].values()))
        self.assertEqual(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
        # The whole recording as one piece, its silence included.
        status, _, body = self.server.form(path, {"vad": "false", "language": "en", "response_format": "text"}, file)
        self.assertEqual((status, body), (200, b"Maria has 7 blue cars.\n"))
        for fields, data, code in (({}, None, 400), ({}, b"no sound", 400), ({"language": "xx-none"}, file, 400),
                                   ({"response_format": "doc"}, file, 400), ({"vad": "perhaps"}, file, 400),
                                   ({"timestamp_granularities[]": "word"}, file, 400), ({}, file[:2000], 400)):
            status, _, body = self.server.form(path, fields, data)
            self.assertEqual(status, code, body)
            self.assertEqual(json.loads(body)["error"]["code"], code)
        self.assertEqual(self.server.call("POST", path, "{}")[0], 400)

    def test_clients_that_leave_free_their_slots(self):
        file = (DATA / "sounds/sentence.flac").read_bytes()
        form = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + file + b"\r\n--b--\r\n"
        head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(form)}\r\n\r\n"
        for stream in (False, True):
            connection = send_raw(self.server, raw_post(CHAT, {**ENDLESS, "stream": stream}))
            start = time.monotonic()
            while not self.server.busy() and time.monotonic() - start < 5:
                time.sleep(0.002)
            connection.close()
            self.assertLess(self.server.wait_until_idle(5), 1)
        send_raw(self.server, head.encode() + form).close()
        self.assertEqual(self.server.post(CHAT, question("Hi"))[0], 200)

    def test_broken_requests_are_refused(self):
        rng = random.Random(1)
        good = json.dumps(question("Hi ü", stop=["a"], tools=[{"type": "function", "function": {"name": "f"}}],
                                   response_format={"type": "text"}))
        connection = self.server.connect()
        for _ in range(1000):
            data = bytearray(good.encode())
            for _ in range(rng.randrange(1, 4)):
                at = rng.randrange(len(data))
                data[at:at + rng.randrange(1, 9)] = rng.choice([b"", b"\xff", b"[", b'"', b"}", b"1e999", b"\0"])
            connection.request("POST", CHAT, bytes(data))
            answer = connection.getresponse()
            body = json.loads(answer.read())
            self.assertTrue(answer.status == 200 or 400 <= answer.status < 500, (answer.status, data))
            self.assertEqual(answer.status != 200, "error" in body)
        connection.close()
        for data in (b"\xff\xfe\0\r\n\r\n", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
                     b"POST /v1/audio/transcriptions HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                     b"Content-Length: 200010\r\n\r\n--b\r\n" + b"Content-Disposition: form-data; name=" + b"a" * 199968):
            with send_raw(self.server, data) as raw:
                self.assertTrue(raw.recv(12).startswith(b"HTTP/1.1 4"))
        self.assertEqual(self.server.busy(), 0)

    def test_many_clients_get_what_each_alone_gets(self):
        alone = {text: answer_of(self.server.post(CHAT, question(text))[1]) for text in QUESTIONS}
        failures = []

        def client(seed, n_requests):
            rng = random.Random(seed)
            try:
                for _ in range(n_requests):
                    text = rng.choice(QUESTIONS)
                    what = rng.random()
                    if what < 0.15:
                        connection = send_raw(self.server, raw_post(CHAT, {**ENDLESS, "stream": what < 0.1}))
                        time.sleep(rng.random() * 0.05)
                        connection.close()
                    elif what < 0.3:
                        status, _ = self.server.post(CHAT, {"messages": [{"role": rng.choice(["x", 1, None])}]})
                        assert status == 400, status
                    else:
                        status, body = self.server.post(CHAT, question(text))
                        assert status == 200, body
                        assert answer_of(body) == alone[text], (text, body)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(repr(error))

        def run(n_requests):
            threads = [threading.Thread(target=client, args=(seed, n_requests)) for seed in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        run(50)
        self.assertEqual(failures, [])
        self.server.wait_until_idle(5)
        before = self.server.resident_bytes()
        run(20)
        self.assertEqual(failures, [])
        self.server.wait_until_idle(5)
        # The address sanitizer keeps what was freed for a while.
        most = 512 if b"__asan_init" in pathlib.Path(PROGRAM).read_bytes() else 16
        self.assertLess(self.server.resident_bytes() - before, most << 20)


class Options(unittest.TestCase):
    def test_pictures_of_a_folder_and_no_others(self):
        folder = DATA / "pictures"
        with tempfile.TemporaryDirectory() as other:
            (pathlib.Path(other) / "in").mkdir()
            (pathlib.Path(other) / "in/shape.jpg").write_bytes((folder / "shape.jpg").read_bytes())
            (pathlib.Path(other) / "out.jpg").write_bytes((folder / "shape.jpg").read_bytes())
            (pathlib.Path(other) / "in/link.jpg").symlink_to("../out.jpg")
            for name, size in (("huge.jpg", 21 << 20), ("large.jpg", 19 << 20), ("empty.jpg", 0)):
                with open(pathlib.Path(other) / "in" / name, "wb") as file:
                    file.truncate(size)
            server = Server("--media-path", other + "/in", "--max-media", "2", "--max-recording", "20K")

            def ask(*parts):
                status, body = server.post(CHAT, question(list(parts)))
                return status, answer_of(body) if status == 200 else body["error"]["type"]

            def picture(url):
                return {"type": "image_url", "image_url": {"url": url}}

            what = {"type": "text", "text": "What is this?"}
            (pathlib.Path(other) / "in/50% ü.jpg").write_bytes((folder / "shape.jpg").read_bytes())
            for url in ("file://shape.jpg", f"file://{other}/in/shape.jpg", "file://./shape.jpg", "file://shap%65.jpg",
                        f"file://localhost{other}/in/shape.jpg", "file://50%25%20%C3%BC.jpg", "file://50% ü.jpg"):
                status, answer = ask(picture(url), what)
                self.assertEqual(status, 200, url)
                self.assertIn("red", answer)
            for url in (f"file://{other}/out.jpg", "file://../out.jpg", "file://link.jpg", "file:///etc/passwd",
                        f"file://{other}/in/../out.jpg", f"file://{folder}/shape.jpg", "file:../out.jpg", "file:/etc/passwd",
                        "file://shape.jpg\0", "file://shape.jpg%00", "file://%2e%2e/out.jpg", "file://%2E./out.jpg",
                        "file:%2fetc%2fpasswd", "file://" + "a" * 5000, "file:///nowhere/none"):
                self.assertEqual(ask(picture(url)), (403, "permission_error"), url)
            for url in ("file://none.jpg", "file://empty.jpg", "file://", "file://.", "http://127.0.0.1/a.png"):
                self.assertEqual(ask(picture(url))[0], 400, url)
            self.assertEqual(ask(picture("file://huge.jpg"))[0], 413)
            large = [{"url": "file://large.jpg"}] * 4  # each is small enough, all are not
            self.assertEqual(ask({"type": "video", "video": {"frames": large}})[0], 413)
            # The same way for the frames of a video.
            frames = [{"url": "file://shape.jpg", "seconds": i} for i in (0, 1, 59)]
            self.assertEqual(ask({"type": "video", "video": {"frames": frames}}, what)[0], 200)
            for broken in ([], frames * 21, frames[::-1], [{"seconds": 1}], [{"url": "file://shape.jpg", "seconds": -1}],
                           frames + [{"url": "file://shape.jpg", "seconds": 61}], "file://shape.jpg", None):
                self.assertEqual(ask({"type": "input_video", "input_video": {"frames": broken}})[0], 400, broken)
            self.assertEqual(ask(*[picture("file://shape.jpg")] * 3)[0], 400)
            status, _, body = server.form("/v1/audio/transcriptions", {}, (DATA / "sounds/sentence.flac").read_bytes())
            self.assertEqual(status, 413, body)
            self.assertEqual(server.end(), (0, ""))

    def test_long_sounds_are_cut_where_that_is_wanted(self):
        """48 seconds are more than a model hears at once."""
        sound = io.BytesIO()
        samples = self.two_seconds() * 24
        with wave.open(sound, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(samples)
        part = {"type": "input_audio", "input_audio": {"data": base64.b64encode(sound.getvalue()).decode(), "format": "wav"}}
        for options, status in (((), 400), (("--audio-chunk",), 200), (("--audio-chunk", "--max-media", "1"), 400)):
            server = Server(*options)
            got, body = server.post("/v1/chat/completions/input_tokens", question([part]))
            self.assertEqual(got, status, body)
            if status == 200:  # a soft token every 40 ms, and the marks around two pieces
                self.assertAlmostEqual(body["input_tokens"], len(samples) / 2 / 640, delta=30)
            else:
                self.assertIn("transcriptions", body["error"]["message"])
            self.assertEqual(server.end(), (0, ""))

    @staticmethod
    def two_seconds():
        """A tone with pauses."""
        return b"".join(struct.pack("<h", int(8000 * math.sin(i / 9)) if i % 8000 < 6000 else 0) for i in range(32000))

    def test_the_log_holds_what_was_asked_only_where_that_is_wanted(self):
        for options, shown in (((), []), (("--log",), ["POST /v1/chat/completions 200", "GET other 404"]),
                               (("--log-prompts",), ["POST /v1/chat/completions 200", "my secret"])):
            server = Server(*options)
            self.assertEqual(server.post(CHAT, question("my secret\n\x1b[2J"))[0], 200)
            self.assertEqual(server.call("GET", "/my-secret-path")[0], 404)
            code, errors = server.end()
            self.assertEqual((code, errors == "", "secret" in errors), (0, not options, "--log-prompts" in options), errors)
            self.assertEqual(len(errors.splitlines()), 2 if options else 0, errors)
            self.assertNotIn("\x1b", errors)
            for text in shown:
                self.assertIn(text, errors)

    def test_options_that_cannot_be(self):
        for option, value in (("--media-path", "/none/such"), ("--media-path", __file__), ("--max-recording", "16X"),
                              ("--max-recording", "-1"), ("--max-recording", "nan"), ("--max-recording", "9999999T"),
                              ("--max-minutes", "0"), ("--max-depth", "201"), ("--max-picture", "x"), ("--max-minutes", "long"), ("--max-media", "-1")):
            done = subprocess.run([PROGRAM, "serve", "none.gguf", option, value], capture_output=True, text=True, timeout=20)
            self.assertEqual((done.returncode != 0, option in done.stderr), (True, True), done.stderr)


class Ending(unittest.TestCase):
    def test_a_port_belongs_to_one_server(self):
        server = Server()
        second = subprocess.run([PROGRAM, "serve", str(DATA / "gemma-4-nano"), "--port", str(server.port)], timeout=20,
                                stderr=subprocess.PIPE, encoding="utf-8", check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("in use", second.stderr)
        self.assertEqual(server.end(), (0, ""))

    def test_an_answer_is_broken_off_with_an_error_after_five_seconds(self):
        server = Server("--context", "131072", "--api-key", "secret")
        self.assertEqual(server.call("GET", "/v1/models")[0], 401)
        key = {"Authorization": "Bearer secret"}
        self.assertEqual(server.call("GET", "/v1/models", headers=key)[0], 200)
        connection = server.connect()
        connection.request("POST", CHAT, json.dumps({**ENDLESS, "stream": True}), key)
        answer = connection.getresponse()
        self.assertTrue(answer.readline().startswith(b"data: "))
        start = time.monotonic()
        code, errors = server.end()
        self.assertEqual((code, errors), (0, ""))
        self.assertLess(time.monotonic() - start, 8)
        try:
            rest = answer.read()
        except Exception as error:  # pylint: disable=broad-except
            rest = getattr(error, "partial", b"")
        self.assertNotIn(b"[DONE]", rest)
        connection.close()


unittest.main(argv=["serve_test"])
