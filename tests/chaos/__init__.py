"""Random clients on one storage, and SIGKILL for the processes that work on it; then check whether the listing is true.

    python -m tests.chaos --seconds 600 --clients 8 --seed 5

It runs in PID, mount and network namespaces and a cgroup v2 tree of its own, so it kills and checks only its own
processes, whatever else the machine does. A seed chooses the operations and the kills; the kernel's scheduling remains
random.
"""
