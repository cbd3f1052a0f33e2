"""Stand-in images for tests, built from Debian packages, and a minimal unpacker for them."""
