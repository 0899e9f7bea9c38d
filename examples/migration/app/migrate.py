"""Brings the database to its newest schema, one step after the other."""

import sqlite3

STEPS = (
    "CREATE TABLE visits (at REAL NOT NULL)",
    "ALTER TABLE visits ADD COLUMN host TEXT NOT NULL DEFAULT ''",
)

if __name__ == "__main__":
    database = sqlite3.connect("/data/app.db", isolation_level=None)
    (version,) = database.execute("PRAGMA user_version").fetchone()
    for number, step in enumerate(STEPS[version:], version + 1):
        database.executescript(f"BEGIN; {step}; PRAGMA user_version = {number}; COMMIT")
        print(f"migrate: step {number}: {step}")
    print(f"migrate: {len(STEPS) - version} steps done, version {len(STEPS)}")
