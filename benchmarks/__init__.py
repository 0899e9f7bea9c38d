"""Measures stackr side by side with Docker Compose: `python -m benchmarks --help`."""
