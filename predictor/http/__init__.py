"""HTTP: bytes in, bytes out, by a fast path for small known requests and by ASGI for the rest."""
