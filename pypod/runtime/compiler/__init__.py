"""The compiler from an OCI runtime specification to a plan: it reads no files and makes no system calls."""
