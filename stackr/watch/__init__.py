"""Brings what is saved on the host into running containers."""
