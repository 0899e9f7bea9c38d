"""Calls one address again and again, and tells how many answered and who."""

import sys
import time
import urllib.error
import urllib.request

if __name__ == "__main__":
    seen: dict[str, int] = {}
    while True:
        try:
            with urllib.request.urlopen(sys.argv[1], timeout=1) as answer:
                name = answer.read().decode().strip()
            seen[name] = seen.get(name, 0) + 1
            calls = ", ".join(f"{name} {count}" for name, count in sorted(seen.items()))
            print(f"caller: {len(seen)} replicas answered: {calls}", flush=True)
        except (urllib.error.URLError, TimeoutError) as error:
            print(f"caller: {error}", flush=True)
        time.sleep(0.2)
