"""A pod, two containers that talk over localhost, and the namespaces that they share.

The containers use this machine's own files, copy on write: no image is needed, and nothing that they write stays.
"""

import time

import pypod

SERVER = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "8080"]
CLIENT = """
import socket, urllib.request, time
for attempt in range(100):
    try:
        page = urllib.request.urlopen("http://localhost:8080/etc/hostname").read().decode()
        break
    except OSError:
        time.sleep(0.05)
print(f"{socket.gethostname()} got {page.strip()!r} from its sibling")
"""


def main() -> None:
    """Run the example."""
    with pypod.Engine() as engine, engine.pods.create("mipod") as pod:
        begin = time.perf_counter()
        pod.start()
        server = pod.run(SERVER, name="server", rootfs="/", working_directory="/")
        print(f"pod and server started in {(time.perf_counter() - begin) * 1000:.1f} ms")
        client = pod.run(["python3", "-c", CLIENT], name="client", rootfs="/")
        code = client.wait(timeout=30)
        print(b"".join(piece.data for piece in client.logs()).decode(), end="")

        sleeper = pod.run(["sleep", "60"], name="sleeper", rootfs="/")
        columns = [pod.infra.name, server.name, sleeper.name]
        print(f"\n{'':8}" + "".join(f"{name:>20}" for name in columns))
        for kind, inodes in sorted(pod.namespaces().items()):
            print(f"{kind:8}" + "".join(f"{inodes.get(name, ''):>20}" for name in columns))
        raise SystemExit(code)


if __name__ == "__main__":
    main()
