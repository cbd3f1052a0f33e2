"""One end of a connection between network namespaces, a program of its own so that it can run in either.

serve PROTOCOL ADDRESS PORT TEXT    answer every client with TEXT and the client's address as seen here
ask PROTOCOL ADDRESS PORT           print the answer, or the name of the error
"""

import errno
import socket
import sys

TIMEOUT_S = 1.0
KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}


def opened(protocol: str, address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, *KINDS[protocol])


def serve(protocol: str, address: str, port: int, text: str) -> None:
    connected = protocol != "udp"
    with opened(protocol, address) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        if connected:
            server.listen()
        print("ready", flush=True)
        while True:
            if connected:
                client, peer = server.accept()
                with client:
                    client.recv(1)  # the client speaks first: pasta of 2023 forwards nothing before that
                    client.sendall(f"{text} {peer[0]}".encode())
            else:
                _, peer = server.recvfrom(100)
                server.sendto(f"{text} {peer[0]}".encode(), peer)


def ask(protocol: str, address: str, port: int) -> str:
    with opened(protocol, address) as client:
        client.settimeout(TIMEOUT_S)
        try:
            client.connect((address, port))
            client.send(b"?")
            return client.recv(200).decode()
        except TimeoutError:
            return "ETIMEDOUT"
        except OSError as error:
            return errno.errorcode[error.errno or 0]


if __name__ == "__main__":
    what, protocol, address, port, *rest = sys.argv[1:]
    if what == "serve":
        serve(protocol, address, int(port), *rest)
    print(ask(protocol, address, int(port)))
