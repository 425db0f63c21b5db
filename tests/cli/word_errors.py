"""Word errors of a transcript: lower case, no punctuation, first line (of a translation that is the transcript)."""

import re


def words(text):
    return re.sub(r"[^\w\s]", "", text.split("\n", maxsplit=1)[0].lower()).split()


def word_errors(got, expected):
    """Words to insert, drop or change."""
    row = list(range(len(expected) + 1))
    for i, word in enumerate(got, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(expected, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]
