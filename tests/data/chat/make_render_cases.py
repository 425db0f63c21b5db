#!/usr/bin/env python3
"""Makes render_cases.jsonl: random chats and what the published templates print for them.

Usage: make_render_cases.py DIR COUNT SEED > render_cases.jsonl, where DIR holds the two templates
(gemma4-e2b.jinja, gemma4-31b.jinja). Needs jinja2; settings as transformers uses them.
"""
import json
import random
import sys

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEXTS = ["Where is the ferry?", "  two\nlines \n", "", " ", "Über den Fluß", "\u00a0\u2003wide\u3000", "\x1cfs\x85",
         "a <turn|> b", "<|channel>thought\nhm\n<channel|>ok", "x<channel|>y<|channel>z", "<|image|>", "{\"a\": 1}",
         "tab\tand \"quote\" it's", "雨が降る", "<channel|>", "a<|channel>b<|channel>c<channel|> d", "🙂"]
KEYS = ["a", "B", "b", "Ab", "aB", "größe", "Größe", "ÄRA", "ära", "Ω", "ω", "Жук", "жара", "_x", "Z9", "z10", "ΣΑΣ", "σας", "İ", "ß", "SS",
        "items", "type", "description", "properties", "required", "nullable", "enum"]
NUMBERS = [0, -0, 1, -7, 10**20, 2**63, 1.0, -0.0, 0.1, 1e16, 1e15, 123456789012345680.0, 1e-4, 1e-5, 1.5e300, 5e-324, 2.5e-7, 100.25, 1e22]
TYPES = ["string", "STRING", "array", "object", "Object", "integer", "number", "boolean", "", "weird ß", ["string", "null"], ["it's", 1, None, 2.0], None, 3, True]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def text(self):
        return self.r.choice(TEXTS)

    def value(self, depth=0):
        r = self.r
        k = r.randrange(8 if depth < 3 else 5)
        if k == 0: return r.choice(NUMBERS)
        if k == 1: return r.choice([True, False, None])
        if k < 5: return r.choice(TEXTS + NUMBERS)
        if k == 5: return [self.value(depth + 1) for _ in range(r.randrange(4))]
        return self.object(depth)

    def object(self, depth=0):
        return {self.r.choice(KEYS): self.value(depth + 1) for _ in range(self.r.randrange(5))}

    def schema(self, depth=0):
        r = self.r
        if r.random() < 0.04: return self.value(2)
        out = {}
        if r.random() < 0.6: out["description"] = r.choice(["What to look for.", "", "it's", None, 5, ["x"], self.text()])
        if r.random() < 0.9: out["type"] = r.choice(TYPES[:8] if r.random() < 0.8 else TYPES)
        if r.random() < 0.3: out["enum"] = r.choice([["red", "green"], [], ["a", 1, None, 2.5], "abc", {"k": [1]}])
        if r.random() < 0.2: out["nullable"] = r.choice([True, False, None, 1, "no"])
        if r.random() < 0.4 and depth < 3: out["items"] = r.choice([self.schema(depth + 1), self.schema(depth + 1), {}, None, [1]])
        if r.random() < 0.4 and depth < 3: out["properties"] = r.choice([self.properties(depth + 1), self.properties(depth + 1), {}, None, "x"])
        if r.random() < 0.3: out["required"] = r.choice([["a"], ["b", "a"], [], None, "ab", {"k": 1}, [1, None]] if r.random() < 0.95 else [5, True])
        if r.random() < 0.2: out[r.choice(["minimum", "format", "additionalProperties", "default", "anyOf", "title"])] = self.value(1)
        keys = list(out); r.shuffle(keys)
        return {k: out[k] for k in keys}

    def properties(self, depth=0):
        return {self.r.choice(KEYS): self.schema(depth) for _ in range(self.r.randrange(4))}

    def tool(self):
        r = self.r
        f = {}
        if r.random() < 0.98: f["name"] = r.choice(["look_up", "ferry.times", "ping", "v-2"])
        if r.random() < 0.9: f["description"] = r.choice(["Looks it up.", "", " spaced ", None, self.text()])
        if r.random() < 0.8:
            p = {}
            if r.random() < 0.8: p["type"] = r.choice(["object", "OBJECT", ""])
            if r.random() < 0.8: p["properties"] = self.properties()
            if r.random() < 0.5: p["required"] = r.choice([["a"], ["a", "B"], [], None])
            f["parameters"] = r.choice([p, p, p, p, {}, None])
        if r.random() < 0.2:
            f["response"] = r.choice([{"description": "What was found.", "type": "object"}, {"type": "object"}, {"type": "string"}, {}, None])
        return {"type": "function", "function": f}

    def parts(self, tool=False):
        r = self.r
        out = []
        for _ in range(r.randrange(4)):
            k = r.choice(["text", "text", "text", "image", "image_url", "audio", "input_audio", "video", "other"])
            p = {"type": k}
            if k == "text" and r.random() < 0.97: p["text"] = self.text() if r.random() < 0.97 else r.choice([None, 5])
            out.append(p if r.random() < 0.99 else "loose")
        return out

    def content(self):
        r = self.r
        k = r.random()
        if k < 0.6: return self.text()
        if k < 0.9: return self.parts()
        if k < 0.97: return None
        return r.choice([5, True, {}, {"a": 1}])

    def call(self, ids):
        r = self.r
        f = {"name": r.choice(["look_up", "ping"]) if r.random() < 0.99 else r.choice([None, 1])}
        if r.random() < 0.99: f["arguments"] = self.object() if r.random() < 0.9 else r.choice([None, {}, "{}"])
        c = {"type": "function", "function": f}
        if r.random() < 0.8:
            c["id"] = r.choice(["c1", "c2", "c3", 1])
            ids.append(c["id"])
        return c

    def messages(self):
        r = self.r
        out, ids = [], []
        if r.random() < 0.3:
            out.append({"role": r.choice(["system", "developer"])})
            if r.random() < 0.95: out[0]["content"] = r.choice([self.text(), self.parts(), None])
        for _ in range(r.randrange(7)):
            role = r.choice(["user", "user", "assistant", "assistant", "assistant", "tool", "system", "model", "critic"])
            m = {"role": role}
            if r.random() < 0.9: m["content"] = self.content()
            if role in ("assistant", "model") or r.random() < 0.03:
                if r.random() < 0.3: m["reasoning"] = r.choice([self.text(), "Think of the tide.", "", None])
                if r.random() < 0.3: m["reasoning_content"] = r.choice([self.text(), "Low water at noon."])
                if r.random() < 0.5: m["tool_calls"] = [self.call(ids) for _ in range(r.randrange(3))]
                if r.random() < 0.15:
                    m["tool_responses"] = [r.choice([{"name": "ping", "response": self.value()}, {"response": self.object()}, {"name": ""}]) for _ in range(r.randrange(3))]
            out.append(m)
            if m.get("tool_calls") and r.random() < 0.7:
                for _ in range(r.randrange(1, 3)):
                    t = {"role": "tool", "content": r.choice([self.text(), self.text(), self.parts(True), None, 5, {}]) if r.random() < 0.97 else {"a": 1}}
                    if r.random() < 0.7: t["tool_call_id"] = r.choice(ids + ["c1", "c9", True])
                    if r.random() < 0.4: t["name"] = r.choice(["ping", "own", ""])
                    out.append(t)
        return out

    def case(self):
        r = self.r
        flags = {"add_generation_prompt": r.random() < 0.8}
        if r.random() < 0.6: flags["enable_thinking"] = r.random() < 0.6
        if r.random() < 0.3: flags["preserve_thinking"] = r.random() < 0.7
        tools = r.choice([None, None, None, [], [self.tool()], [self.tool(), self.tool()]])
        return {"template": r.choice(["e2b", "31b"]), "messages": self.messages(), "tools": tools, "flags": flags}


def load(folder, kind):
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])

    def refuse(message):
        raise jinja2.exceptions.TemplateError(message)
    env.globals["raise_exception"] = refuse
    with open("%s/gemma4-%s.jinja" % (folder, kind), encoding="utf-8") as file:
        return env.from_string(file.read())


def main():
    folder, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    templates = {kind: load(folder, kind) for kind in ("e2b", "31b")}
    maker = Maker(seed)
    for n in range(count):
        case = maker.case()
        line = {"n": n, "name": "generated", **case}
        try:
            line["prompt"] = templates[case["template"]].render(
                messages=case["messages"], tools=case["tools"], bos_token="<bos>", **case["flags"])
        except (jinja2.exceptions.TemplateError, TypeError, AttributeError):
            line["prompt"] = None
        print(json.dumps(line, ensure_ascii=False))


main()
