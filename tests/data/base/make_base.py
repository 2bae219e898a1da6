"""Writes python.json: what CPython's random, repr and json give. Run again only to add cases."""

import json
import random
from pathlib import Path


def draws(seed):
    """One sequence that goes through every kind of draw, in the order in which the test repeats it."""
    r = random.Random(seed)
    shuffled = list(range(50))
    case = {
        "seed": seed,
        "random": [r.random() for _ in range(5)],
        "getrandbits": [[k, r.getrandbits(k)] for k in (1, 5, 31, 32, 33, 48, 63, 64)],
        "randrange": [[n, r.randrange(n)] for n in (1, 2, 3, 7, 1000, 2**31, 2**32, 2**40)],
        "randint": [r.randint(-5, 5) for _ in range(8)],
        "choice": [r.choice(range(10)) for _ in range(8)],
        "sample": [[n, k, r.sample(range(n), k)] for n, k in ((10, 10), (20, 3), (22, 3), (500, 6), (85, 6), (86, 6), (2000, 40))],
        "uniform": [r.uniform(-2.5, 7) for _ in range(4)],
    }
    r.shuffle(shuffled)
    return case | {"shuffle": shuffled, "many": [r.random() for _ in range(2000)][-1]}


FLOATS = [0.0, -0.0, 1.0, 0.1, 1 / 3, 1e-4, 1e-5, 9.5e-05, 1e15, 1e16, 123456789.125, 1e22, 1.7976931348623157e308,
          5e-324, -2.5, 1e100, 0.0001234, 12345678901234567.0, 2.0**53, 1e-7]
TEXTS = ["", "plain", 'quote " and \\ back', "tab\tnewline\nreturn\r\b\f\x01", "é ü", "猫", "🐈", "a/b"]

values = {
    "draws": [draws(seed) for seed in (0, 1, 42, 2**32 - 1, 2**32, 1234567890123456789)],
    "repr": [[value.hex(), repr(value)] for value in FLOATS],
    "json": [[text, json.dumps(text)] for text in TEXTS],
}
(Path(__file__).parent / "python.json").write_text(json.dumps(values, indent=0) + "\n")
