"""A registry client: pulls into the store and pushes out of it, by the OCI distribution spec."""
