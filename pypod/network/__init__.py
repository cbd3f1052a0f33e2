"""Networks as the kernel has them: links, addresses, the firewall, names."""
