"""Writes chat.txt: short conversations in the model's own markup, from a few patterns and word lists.

Usage: make_chat.py > chat.txt        The same text every time.
"""

import random

rng = random.Random(20)
COLOURS = "red green blue yellow white black brown grey".split()
THINGS = "cup lamp door apple stone shirt clock ball coat key box chair".split()
NAMES = "Anna Max Lena Tom Emma Paul Nina Carl Mia Otto Sara Jonas".split()
PLACES = "Rome Oslo Paris Lima Cairo Tokyo Delhi Bern Quito Riga".split()
VERBS = ("sees", "takes", "wants", "brings", "paints", "finds")
QUOTE = '<|"|>'


def turn(role, text):
    return f"<|turn>{role}\n{text}<turn|>\n"


def phrase():
    return f"{rng.choice(COLOURS)} {rng.choice(THINGS)}"


def tool(name, about, /, **arguments):
    order = sorted(arguments)
    fields = ",".join(f"{key}:{{description:{QUOTE}{arguments[key][0]}{QUOTE},type:{QUOTE}{arguments[key][1]}{QUOTE}}}"
                      for key in order)
    required = ",".join(f"{QUOTE}{key}{QUOTE}" for key in order)
    return (f"<|tool>declaration:{name}{{description:{QUOTE}{about}{QUOTE},parameters:{{properties:{{{fields}}},"
            f"required:[{required}],type:{QUOTE}OBJECT{QUOTE}}}}}<tool|>")


TOOLS = [tool("get_weather", "Get the weather in a city", city=("The city", "STRING")),
         tool("get_time", "Get the time in a city", city=("The city", "STRING")),
         tool("set_timer", "Set a timer", minutes=("Number of minutes", "INTEGER")),
         tool("send_note", "Send a note to a person", name=("The person", "STRING"), text=("What to say", "STRING"))]


def arithmetic():
    a, b = rng.randint(2, 60), rng.randint(2, 30)
    thought = f"<|channel>thought\n{a} + {b} = {a + b}\n<channel|>"
    head = turn("system", "<|think|>\n") if rng.random() < 0.5 else ""
    return head + turn("user", f"What is {a} + {b}?") + turn("model", (thought if head else "") + str(a + b))


def copy():
    text = " ".join(phrase() for _ in range(rng.randint(1, 3)))
    if rng.random() < 0.5:
        return turn("user", f"Repeat: {text}") + turn("model", text)
    return turn("user", f"Reverse the words: {text}") + turn("model", " ".join(reversed(text.split())))


def memory():
    name, colour = rng.choice(NAMES), rng.choice(COLOURS)
    return (turn("system", f"Your name is {name}.") + turn("user", f"My favorite color is {colour}.")
            + turn("model", f"I will remember {colour}.") + turn("user", "What is my favorite color?")
            + turn("model", f"Your favorite color is {colour}.") + turn("user", "What is your name?")
            + turn("model", f"My name is {name}."))


def count():
    first = rng.randint(1, 50)
    last = first + rng.randint(3, 9)
    return turn("user", f"Count from {first} to {last}.") + turn("model", " ".join(map(str, range(first, last + 1))))


def call_tool():
    city = rng.choice(PLACES)
    what, asked, unit = rng.choice((("get_weather", f"How is the weather in {city}?", "weather"),
                                    ("get_time", f"Tell me the time in {city}.", "time")))
    value = rng.choice(("sunny", "rain", "snow")) if unit == "weather" else f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
    answer = f"It is {value} in {city}."
    return (turn("system", "".join(rng.sample(TOOLS, 3))) + turn("user", asked)
            + f"<|turn>model\n<|tool_call>call:{what}{{city:{QUOTE}{city}{QUOTE}}}<tool_call|>"
            + f"<|tool_response>response:{what}{{{unit}:{QUOTE}{value}{QUOTE}}}<tool_response|>{answer}<turn|>\n")


def table():
    rows = [(rng.choice(NAMES), rng.randint(10, 99)) for _ in range(4)]
    text = "| name | points |\n| --- | --- |\n" + "".join(f"| {n} | {p} |\n" for n, p in rows)
    name, points = rng.choice(rows)
    return turn("user", f"{text}How many points does {name} have?") + turn("model", str(points))


def story():
    name = rng.choice(NAMES)
    return (turn("user", f"Write two sentences about {name} and a {phrase()}.")
            + turn("model", f"{name} {rng.choice(VERBS)} a {phrase()} and puts it beside the window. "
                            f"In the evening {name} {rng.choice(VERBS)} it again and smiles."))


def translate():
    n, colour = rng.randint(2, 9), rng.choice((("blue", "bleues", "blaue"), ("white", "blanches", "weiße")))
    name = rng.choice(NAMES)
    language, text = rng.choice((("French", f"{name} voit {n} tasses {colour[1]}."),
                                 ("German", f"{name} sieht {n} {colour[2]} Tassen.")))
    return turn("user", f"Translate into {language}: {name} sees {n} {colour[0]} cups.") + turn("model", text)


print("".join(rng.choice((arithmetic, copy, memory, count, call_tool, table, story, translate))()
              for _ in range(110)), end="")
