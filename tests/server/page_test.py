"""The page for people in a headless Chromium: a chat, a picture, thoughts and calls, nothing from elsewhere."""

import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from server_program import DATA, Server

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
if BROWSER is None:
    print("skipped: there is no chromium")
    sys.exit(77)


class Browser:
    """One page, driven through the DevTools protocol over a socket of its own."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
             "--window-size=900,900", f"--user-data-dir={folder}", "about:blank"], stderr=subprocess.PIPE)
        for line in self.process.stderr:
            found = re.search(rb"ws://127\.0\.0\.1:(\d+)/", line)
            if found:
                port = int(found.group(1))
                break
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/json")
        pages = json.loads(connection.getresponse().read())
        connection.close()
        url = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        path = "/" + url.split("/", 3)[3]
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(1)
        self.number = 0
        self.faults = []

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            assert more, "the browser is gone"
            data += more
        return data

    def receive(self):
        data = b""
        while True:
            first, length = self.read(2)
            length &= 127
            if length == 126:
                length, = struct.unpack(">H", self.read(2))
            elif length == 127:
                length, = struct.unpack(">Q", self.read(8))
            data += self.read(length)
            if first & 128:
                return json.loads(data)

    def call(self, method, **parameters):
        self.number += 1
        data = json.dumps({"id": self.number, "method": method, "params": parameters}).encode()
        mask = os.urandom(4)
        frame = b"\x81" + struct.pack(">BQ", 255, len(data)) + mask
        self.socket.sendall(frame + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))
        while True:
            answer = self.receive()
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.faults.append(answer["params"])
            if answer.get("id") == self.number:
                return answer["result"]

    def run(self, script):
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def wait_for(self, script):
        end = time.monotonic() + 20
        while not self.run(script):
            assert time.monotonic() < end, script
            time.sleep(0.05)

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()


class Page(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.server = Server("--context", "2048")
        self.browser = Browser(self.folder.name)
        for domain in ("Runtime", "Log", "Page"):
            self.browser.call(domain + ".enable")

    def tearDown(self):
        self.browser.close()
        self.assertEqual(self.server.end(), (0, ""))
        self.folder.cleanup()

    def ask(self, text):
        self.browser.run(f'$("input").value = {json.dumps(text)}; $("send").click()')
        self.browser.wait_for("running === null && messages.length > 0")
        return self.browser.run('[...document.querySelectorAll(".model:last-child .text")].map((e) => e.textContent).join()')

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text="\r")

    def test_a_chat(self):
        browser = self.browser
        browser.call("Page.navigate", url=f"http://127.0.0.1:{self.server.port}/")
        browser.wait_for('document.title === "gemma-4-nano"')
        self.assertEqual(self.ask("Reverse the words: key ball boat gold seven").split()[-1], "key")
        self.assertRegex(browser.run('document.querySelector(".model small").textContent'), "tokens/s")
        picture = base64.b64encode((DATA / "pictures/shape.jpg").read_bytes()).decode()
        browser.run(f'addPicture(new File([Uint8Array.from(atob("{picture}"), (c) => c.charCodeAt(0))], "a.jpg", '
                    '{type: "image/jpeg"}))')
        browser.wait_for("parts.length === 1")
        self.assertIn("red", self.ask("What is this?"))
        self.assertEqual(browser.run('document.querySelectorAll(".user img").length'), 1)
        # What a model writes is text, never markup.
        browser.run('var view = showAnswer(); view.take({reasoning_content: "Hm."});'
                    'view.take({content: "<b>x</b>", tool_calls: [{index: 0, function: {name: "f", arguments: "{}"}}]})')
        self.assertEqual(browser.run('document.querySelector("details").open'), False)
        self.assertEqual(browser.run('document.querySelector(".model:last-child code").textContent'), "f {}")
        self.assertEqual(browser.run('document.querySelectorAll(".model b").length'), 0)
        self.assertEqual(browser.faults, [])
        # What the server refuses is said, and the chat goes on without it; what is attached can be taken back.
        browser.run('addPicture(new File(["no picture"], "b.png", {type: "image/png"}))')
        browser.wait_for("parts.length === 1")
        browser.run('$("files").firstChild.click()')
        self.assertEqual(browser.run("parts.length"), 0)
        browser.run('addPicture(new File(["no picture"], "b.png", {type: "image/png"}))')
        browser.wait_for("parts.length === 1")
        self.ask("And this?")
        self.assertIn("not a picture", browser.run('document.querySelector(".model:last-child .error").textContent'))
        self.assertTrue(self.ask("Reverse the words: key ball boat gold seven"))
        # By keyboard alone; a chat that is left for a new one takes nothing along.
        browser.run('addPicture(new File(["no picture"], "b.png", {type: "image/png"}))')
        browser.wait_for("parts.length === 1")
        browser.run('$("files").firstChild.focus()')
        self.press("Enter", 13)
        self.assertEqual(browser.run("[parts.length, document.activeElement.id]"), [0, "input"])
        browser.call("Input.insertText", text="Count")
        self.press("Enter", 13)
        browser.wait_for("running !== null")
        browser.run('$("new").click()')
        browser.wait_for("running === null")
        self.assertEqual(browser.run("[messages.length, $('log').children.length]"), [0, 0])
        browser.run("record()")
        browser.wait_for('$("state").className === "error"')
        self.assertIn("no microphone", browser.run('$("state").textContent'))
        self.assertTrue(self.ask("Reverse the words: key ball boat gold seven"))
        if len(sys.argv) > 4:  # where to put a picture of it
            shot = browser.call("Page.captureScreenshot", format="png")
            pathlib.Path(sys.argv[4]).write_bytes(base64.b64decode(shot["data"]))


unittest.main(argv=["page_test"])
