"""What is said across the boundaries: stack files, container specs, states, events, errors."""
