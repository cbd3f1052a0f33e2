"""Go's templates, printing and quoting, which podman users know from the command line."""
