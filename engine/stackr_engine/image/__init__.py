"""Images: references, the content-addressed store, unpacked layers, this machine as an image."""
