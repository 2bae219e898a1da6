"""Measures a program as a whole process, for the scripts that compare difftune with sd-scripts."""

import os
import subprocess
import sys
import tempfile
import time


def measure(words, environment=None, folder=None):
    """Seconds on the clock and of processors, the largest resident memory in MiB, and what it printed. Ends the script
    where the program fails."""
    with tempfile.TemporaryFile() as output:
        begun = time.monotonic()
        process = subprocess.Popen([str(word) for word in words], stdout=output, stderr=subprocess.STDOUT,
                                   env=environment, cwd=folder)
        _, status, used = os.wait4(process.pid, 0)
        clock = time.monotonic() - begun
        output.seek(0)
        said = output.read().decode(errors="replace")
    if status:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{said[-2000:]}")
    return clock, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said
