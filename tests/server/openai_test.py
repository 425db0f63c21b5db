"""The official openai client against the server. Installs it into a folder of its own, where it is not there."""

import base64
import os
import pathlib
import subprocess
import sys
import venv

SKIPPED = 77


def with_client():
    """Runs this file again in an environment that has the client."""
    folder = pathlib.Path(os.getcwd(), "openai_client")
    python = folder / "bin/python"
    try:
        if not python.exists():
            venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "openai"],
                       check=True, timeout=120, capture_output=True)
    except (subprocess.SubprocessError, OSError) as error:
        print("skipped: the openai client cannot be installed:", error)
        sys.exit(SKIPPED)
    sys.exit(subprocess.run([python, *sys.argv], check=False).returncode)


try:
    import openai
except ImportError:
    with_client()

import importlib.util  # noqa: E402
import unittest  # noqa: E402
from typing import Literal  # noqa: E402

import pydantic  # noqa: E402

from server_program import DATA, SOURCE, Server  # noqa: E402

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--parallel", "2", "--context", "2048", "--api-key", "secret")
        cls.client = openai.OpenAI(base_url=f"http://127.0.0.1:{cls.server.port}/v1", api_key="secret",
                                   max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        code, errors = cls.server.end()
        assert (code, errors) == (0, ""), (code, errors)

    def ask(self, content, **more):
        return self.client.chat.completions.create(
            model="gemma", messages=[{"role": "user", "content": content}], temperature=0, **more)

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["gemma-4-nano"])

    def test_chat_and_stream(self):
        text = "Reverse the words: key ball boat gold seven"
        whole = self.ask(text)
        self.assertEqual(whole.choices[0].message.content, "seven gold boat ball key")
        self.assertEqual(whole.choices[0].finish_reason, "stop")
        chunks = list(self.ask(text, stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
                         "seven gold boat ball key")
        self.assertEqual(chunks[-1].usage.completion_tokens, whole.usage.completion_tokens)

    def test_tools_round_trip(self):
        messages = [{"role": "user", "content": "What is the weather in Paris?"}]
        first = self.client.chat.completions.create(model="g", messages=messages, tools=[WEATHER], temperature=0,
                                                    tool_choice="required", parallel_tool_calls=False, max_tokens=60)
        message = first.choices[0].message
        self.assertEqual(first.choices[0].finish_reason, "tool_calls")
        self.assertEqual(len(message.tool_calls), 1)
        messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Sunny, 21 C"}]
        second = self.client.chat.completions.create(model="g", messages=messages, tools=[WEATHER], temperature=0,
                                                     max_tokens=60)
        self.assertGreater(second.usage.prompt_tokens, first.usage.prompt_tokens)

    def test_json_schema_is_parsed(self):
        class Pair(pydantic.BaseModel):
            first: Literal["red", "green"]
            count: int
            done: bool

        try:
            parsed = self.client.chat.completions.parse(
                model="g", messages=[{"role": "user", "content": "Reverse the words: a b"}], temperature=0,
                max_tokens=100, response_format=Pair)
        except openai.APIStatusError as error:
            self.assertEqual(error.status_code, 501)  # a build without the grammar engine
            self.skipTest("no structured output in this build")
        self.assertIn(parsed.choices[0].message.parsed.first, ("red", "green"))

    def test_the_example(self):
        spec = importlib.util.spec_from_file_location("assistant", SOURCE / "examples/assistant.py")
        assistant = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(assistant)
        self.assertEqual(assistant.calculate("17 * (2 + 3) - 1"), 84)
        self.assertTrue(assistant.answer(self.client, [{"role": "user", "content": "Reverse the words: a b"}]))

    def test_picture(self):
        picture = base64.b64encode((DATA / "pictures/shape.jpg").read_bytes()).decode()
        answer = self.ask([{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + picture}},
                           {"type": "text", "text": "What is this?"}])
        self.assertIn("red", answer.choices[0].message.content)

    def test_transcription_in_all_formats(self):
        for form in ("json", "text", "srt", "vtt", "verbose_json"):
            with open(DATA / "sounds/sentence.flac", "rb") as file:
                answer = self.client.audio.transcriptions.create(model="w", file=file, response_format=form)
            text = answer if isinstance(answer, str) else answer.text
            self.assertIn("Maria has 7 blue cars.", text)

    def test_errors_have_their_classes(self):
        with self.assertRaises(openai.BadRequestError):
            self.ask("x", top_p=5)
        with self.assertRaises(openai.AuthenticationError):
            self.client.with_options(api_key="wrong").models.list()
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.create(model="g", input="x")


unittest.main(argv=["openai_test"])
