"""Texts that a person, a disk or an enemy could have made of a good one."""

from __future__ import annotations

import random

BITS = (
    ";", ",", ":", "=", ":=", "(", ")", "{", "}", '"', "'", "*", "-", "/", "^", "->", "!", "//", "/*", "*/", "&",
    "\n", "\0",
    "1e999", "-1", "0", "1e-300", "nan", "inf", "at=", "from=", "l=", "line=", "sequence", "endsequence", "quadrupole",
    "macro", "while", "if", "exec", "call", "return", "é", "\u2028", "x" * 300, "((((((((",
    "9" * 400, "\\", "%", "$", "#s/#e",
)  # fmt: skip
"""What may come in."""


def mutated(text: str, seed: int) -> str:
    """The text after one to six changes: parts dropped, doubled, exchanged, cut off, or put in."""
    draw = random.Random(seed)
    for _ in range(draw.randint(1, 6)):
        a, b = sorted(draw.randrange(len(text) + 1) for _ in range(2))
        b = min(b, a + draw.choice((1, 3, 10, 40)))
        c = draw.randrange(len(text) + 1)
        match draw.randrange(6):
            case 0:
                text = text[:a] + text[b:]
            case 1:
                text = text[:b] + text[a:b] * draw.choice((1, 2, 20)) + text[b:]
            case 2:
                text = text[:c] + text[a:b] + text[c:]
            case 3:
                text = text[:a] if draw.random() < 0.2 else text[:a] + text[a:b].swapcase() + text[b:]
            case _:
                text = text[:a] + draw.choice(BITS) + text[b if draw.random() < 0.5 else a :]
        text = text or ";"
    return text
