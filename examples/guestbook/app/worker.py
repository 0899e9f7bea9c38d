"""Counts the words of all entries whenever there are new ones, and puts the sum into the store."""

import os
import time

from client import ask

STORE = os.environ["STORE"]


def main() -> None:
    """Look again every EVERY seconds, for ever."""
    counted = -1
    while True:
        entries = ask(STORE, "get", "entries")
        if len(entries) != counted:
            words = sum(len(entry["text"].split()) for entry in entries)
            ask(STORE, "put", "words", words)
            counted = len(entries)
            print(f"worker: {words} words in {counted} entries", flush=True)
        time.sleep(float(os.environ["EVERY"]))


if __name__ == "__main__":
    main()
