"""System call numbers of each architecture, generated from the kernel's headers."""
