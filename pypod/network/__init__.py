"""Networks at the level of the kernel: links, addresses, the firewall, names."""
