"""Calls one address again and again, and tells how many answered and who."""

import socket
import sys
import time
import urllib.error
import urllib.request

if __name__ == "__main__":
    name, port = sys.argv[1].split(":")
    seen: dict[str, int] = {}
    while True:
        try:
            # The first address, which is another one each time; getaddrinfo would sort them.
            address = socket.gethostbyname_ex(name)[2][0]
            with urllib.request.urlopen(f"http://{address}:{port}/", timeout=1) as answer:
                host = answer.read().decode().strip()
            seen[host] = seen.get(host, 0) + 1
            calls = ", ".join(f"{host} {count}" for host, count in sorted(seen.items()))
            print(f"caller: {len(seen)} replicas answered: {calls}", flush=True)
        except (urllib.error.URLError, OSError) as error:
            print(f"caller: {error}", flush=True)
        time.sleep(0.2)
