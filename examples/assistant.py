"""An assistant with two tools, over `gemlet serve` and the official openai client (pip install openai).

Usage: gemlet serve MODEL &  python3 assistant.py "What is 17 * 23, and what time is it?" [--url http://127.0.0.1:8080/v1]
"""

import argparse
import ast
import datetime
import json
import operator

import openai

OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def calculate(expression):
    """Sums, differences, products and quotients of numbers; nothing else of Python."""

    def value(node):
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
            return OPERATIONS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        raise ValueError("only + - * / and numbers")

    return value(ast.parse(expression, mode="eval").body)


def get_time():
    return datetime.datetime.now().strftime("%A, %d %B %Y, %H:%M")


FUNCTIONS = {"calculate": calculate, "get_time": get_time}
TOOLS = [
    {"type": "function", "function": {
        "name": "calculate", "description": "Calculates an expression of numbers with + - * /",
        "parameters": {"type": "object", "properties": {"expression": {"type": "string"}},
                       "required": ["expression"]}}},
    {"type": "function", "function": {
        "name": "get_time", "description": "The date and time now",
        "parameters": {"type": "object", "properties": {}}}},
]


def run(call):
    """What a call of the model gives, or what went wrong, for the model to read."""
    try:
        return str(FUNCTIONS[call.function.name](**json.loads(call.function.arguments)))
    except Exception as error:  # pylint: disable=broad-except
        return f"error: {error}"


def answer(client, messages, most_rounds=5, most_tokens=500):
    """Lets the model call until it answers in words. Without a limit a model that loops fills the whole context."""
    for _ in range(most_rounds):
        message = client.chat.completions.create(model="gemma", messages=messages, tools=TOOLS,
                                                 max_completion_tokens=most_tokens).choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content
        for call in message.tool_calls:
            result = run(call)
            print(f"[{call.function.name}({call.function.arguments}) = {result}]")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return "(too many calls)"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("question")
    parser.add_argument("--url", default="http://127.0.0.1:8080/v1")
    arguments = parser.parse_args()
    client = openai.OpenAI(base_url=arguments.url, api_key="none")
    print(answer(client, [{"role": "user", "content": arguments.question}]))


if __name__ == "__main__":
    main()
