"""What the command line takes from Go: templates, their printing and quoting, as podman users know them."""
