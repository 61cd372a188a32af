"""An S3 server with what a download and an upload need. It runs in a pod with the standard library alone.

``python store.py FOLDER PORT``: the first part of a path is the bucket, the rest is the key.
Signatures are not checked.
"""

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Handler(BaseHTTPRequestHandler):
    """Lists buckets, and returns and stores objects."""

    protocol_version = "HTTP/1.1"
    root: Path

    def do_GET(self) -> None:
        """Return the list of a bucket's objects, or one object."""
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if not key:
            self._list(bucket, parse_qs(url.query).get("prefix", [""])[0])
            return
        file = (self.root / bucket / key).resolve()
        if not file.is_relative_to(self.root) or not file.is_file():
            self._respond(HTTPStatus.NOT_FOUND, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        self._respond(HTTPStatus.OK, file.read_bytes(), "application/octet-stream")

    do_HEAD = do_GET  # noqa: N815  named by the base class

    def do_PUT(self) -> None:
        """Store one object, or make a bucket."""
        file = (self.root / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not file.is_relative_to(self.root) or "aws-chunked" in self.headers.get("Content-Encoding", ""):
            self._respond(HTTPStatus.BAD_REQUEST, b"<Error><Code>InvalidRequest</Code></Error>")
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self._respond(HTTPStatus.OK, b"")

    def _list(self, bucket: str, prefix: str) -> None:
        files = sorted(path for path in (self.root / bucket).rglob("*") if path.is_file())
        keys = [(path.relative_to(self.root / bucket).as_posix(), path.stat().st_size) for path in files]
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>&quot;{size}&quot;</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
            for key, size in keys
            if key.startswith(prefix)
        )
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{NAMESPACE}">'
            f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>1000</MaxKeys>"
            f"<IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        )
        self._respond(HTTPStatus.OK, body.encode())

    def _respond(self, status: HTTPStatus, body: bytes, kind: str = "application/xml") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("ETag", f'"{len(body)}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


if __name__ == "__main__":
    Handler.root = Path(sys.argv[1]).resolve()
    ThreadingHTTPServer(("", int(sys.argv[2])), Handler).serve_forever()
