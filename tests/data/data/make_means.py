"""Writes means.json: numpy.mean of sequences that a test can make again: python make_means.py (in this folder)."""

import json

import numpy as np

rows = []
for n in [1, 2, 7, 8, 9, 100, 127, 128, 129, 137, 144, 1000, 3001]:
    values = np.array([((i * 7919 + 13) % 1009) / 3.0 for i in range(n)])
    rows.append([n, float(np.mean(values))])
json.dump(rows, open("means.json", "w"))
