"""Notes a visit every second; fails at once where the tables are missing."""

import socket
import sqlite3
import time

if __name__ == "__main__":
    database = sqlite3.connect("/data/app.db", isolation_level=None)
    while True:
        database.execute("INSERT INTO visits VALUES (?, ?)", (time.time(), socket.gethostname()))
        (count,) = database.execute("SELECT count(*) FROM visits").fetchone()
        print(f"app: visit {count}", flush=True)
        time.sleep(1)
