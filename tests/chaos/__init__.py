"""Clients at random on one storage, and SIGKILL for everything that works there; then: is what is listed true?

    python -m tests.chaos --seconds 600 --clients 8 --seed 5

The whole of it runs with process numbers, mounts, a network and a v2 tree of cgroups of its own, so what it kills and
what it looks for afterwards is its own, whatever else the machine does. A seed chooses the operations and the kills;
the kernel's scheduling remains.
"""
