"""The spawner: a small process that forks containers; standard library only."""
