"""Append numbers to a log and say each as soon as it is acknowledged; killed by test_log.py."""

import sys
import time

from skal._files._log import AppendLog


def open_when_free(path):
    while True:
        try:
            return AppendLog(path, format="numbers 1")
        except RuntimeError:
            time.sleep(0.01)


def main(path, name, n_entries):
    with open_when_free(path) as log:
        first = sum(entry["of"] == name for entry in log)
        for number in range(first, first + n_entries):
            log.append({"of": name, "number": number, "padding": "x" * (number % 7 * 500)})
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
