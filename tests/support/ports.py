"""Free ports, for servers that can't bind port 0 and say which port they got."""

import socket


def free_port() -> int:
    """Return a port that nobody listens on; somebody else may take it before it is used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
