"""A model hub on the loopback that speaks the real one's protocol, and can misbehave.

Run by itself it serves one model, for trying things by hand and for the kill test::

    python -m tests.hub.server FOLDER ID [--slow SECONDS]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LFS_SUFFIX = ".safetensors"
CHUNK = 1 << 16


@dataclass
class Faults:
    """What goes wrong. Lists are used up, one entry for every request they apply to."""

    listing_status: list[int] = field(default_factory=list)
    file_status: list[int] = field(default_factory=list)
    gated: bool = False
    garbage_listing: bool = False
    message: str = "no"
    no_hashes: bool = False
    ignore_range: bool = False
    cut_after: dict[str, list[int]] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    seconds_per_chunk: float = 0.0
    listing: dict[str, Any] = field(default_factory=dict)  # members laid over the listing
    siblings: list[dict[str, Any]] = field(default_factory=list)  # added to the files
    listing_headers: dict[str, str] = field(default_factory=dict)
    padding: int = 0  # bytes of blanks after the listing
    retry_after: str | None = None


@dataclass(frozen=True)
class Seen:
    """One request that the server got."""

    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class Hub:
    """Models by id, each a folder of files, all at one commit."""

    models: dict[str, Path]
    faults: Faults = field(default_factory=Faults)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    @property
    def other_url(self) -> str:
        """The same server under another host name."""
        return self.url.replace("127.0.0.1", "localhost")

    def commit(self, model_id: str) -> str:
        return hashlib.sha1(model_id.encode()).hexdigest()

    def downloads(self, name: str) -> list[Seen]:
        """The GET requests for the content of the file ``name``."""
        return [seen for seen in self.seen if seen.method == "GET" and seen.path.endswith(name)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def _route(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.seen.append(
            Seen(self.command, path, self.headers["Range"], self.headers["Authorization"])
        )
        try:
            if path.startswith("/api/models/"):
                self._api(path.removeprefix("/api/models/").split("/"))
            elif path.startswith("/cdn/"):
                model_id, name = path.removeprefix("/cdn/").rsplit("/", 1)
                self._content(model_id, name, self.hub.faults.content.get(name))
            else:
                self._resolve(path.strip("/").split("/"))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _api(self, parts: list[str]) -> None:
        model_id, rest = "/".join(parts[:2]), parts[2:]
        faults = self.hub.faults
        if faults.listing_status:
            return self._fail(faults.listing_status.pop(0), "")
        if faults.garbage_listing:
            return self._send(200, f"<html>a captive portal: {self.hub.faults.message}".encode())
        if not self._is_there(model_id, rest[1] if len(rest) > 1 else "main"):
            return None
        if rest[:1] == ["tree"]:
            return self._send_json([self._tree_entry(path) for path in self._files(model_id)])
        listing = {
            "_id": "1",
            "id": model_id,
            "sha": self.hub.commit(model_id),
            "private": False,
            "gated": False,
            "tags": [],
            "cardData": {"license": "other", "license_name": "deepseek"},
            "siblings": [
                *(self._sibling(path) for path in self._files(model_id)),
                *faults.siblings,
            ],
        } | faults.listing
        body = json.dumps(listing).encode() + b" " * faults.padding
        headers = {"Content-Type": "application/json"} | faults.listing_headers
        return self._send(200, body, headers)

    def _resolve(self, parts: list[str]) -> None:
        model_id, revision, name = "/".join(parts[:2]), parts[3], parts[4]
        faults = self.hub.faults
        if not self._is_there(model_id, revision):
            return
        path = self.hub.models[model_id] / name
        if not path.is_file():
            self._fail(404, "EntryNotFound")
            return
        if self.command == "GET" and faults.file_status:
            self._fail(faults.file_status.pop(0), "")
            return
        headers = {"X-Repo-Commit": self.hub.commit(model_id), "ETag": f'"{_etag(path)}"'}
        if name.endswith(LFS_SUFFIX):
            # Large files live on another host, as on the real hub.
            headers |= {
                "X-Linked-Size": str(path.stat().st_size),
                "X-Linked-ETag": headers["ETag"],
                "Location": f"{self.hub.other_url}/cdn/{model_id}/{name}",
            }
            self._send(302, b"", headers)
            return
        self._content(model_id, name, faults.content.get(name), headers)

    def _content(
        self, model_id: str, name: str, instead: bytes | None, headers: dict[str, str] | None = None
    ) -> None:
        faults = self.hub.faults
        data = (self.hub.models[model_id] / name).read_bytes() if instead is None else instead
        start, status = 0, 200
        wanted = self.headers["Range"]
        headers = {"Accept-Ranges": "bytes", **(headers or {})}
        if wanted and not faults.ignore_range:
            start, status = int(wanted.removeprefix("bytes=").split("-")[0]), 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        cuts = faults.cut_after.get(name, [])
        stop = start + cuts.pop(0) if cuts and self.command == "GET" else len(data)
        self._send_head(status, len(data) - start, headers)
        if self.command == "HEAD":
            return
        for position in range(start, min(stop, len(data)), CHUNK):
            self.wfile.write(data[position : min(position + CHUNK, stop)])
            time.sleep(faults.seconds_per_chunk)
        if stop < len(data):
            self.close_connection = True  # in the middle of what Content-Length promised

    def _is_there(self, model_id: str, revision: str) -> bool:
        if self.hub.faults.gated:
            self._fail(403, "GatedRepo")
        elif model_id not in self.hub.models:
            # As the real hub: it does not tell a private model from none.
            self._fail(401, "RepoNotFound")
        elif revision not in ("main", self.hub.commit(model_id)):
            self._fail(404, "RevisionNotFound")
        else:
            return True
        return False

    def _files(self, model_id: str) -> list[Path]:
        return sorted(path for path in self.hub.models[model_id].iterdir() if path.is_file())

    def _sibling(self, path: Path) -> dict[str, Any]:
        entry: dict[str, Any] = {"rfilename": path.name, "size": path.stat().st_size}
        if self.hub.faults.no_hashes:
            return entry
        entry["blobId"] = _git_sha1(path)
        if path.name.endswith(LFS_SUFFIX):
            entry["lfs"] = {"sha256": _etag(path), "size": entry["size"], "pointerSize": 134}
        return entry

    def _tree_entry(self, path: Path) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": path.name, "oid": _git_sha1(path)}
        entry["size"] = path.stat().st_size
        if path.name.endswith(LFS_SUFFIX):
            entry["lfs"] = {"oid": _etag(path), "size": entry["size"], "pointerSize": 134}
        return entry

    def _fail(self, status: int, code: str) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": "no"} if code else {}
        if self.hub.faults.retry_after is not None:
            headers["Retry-After"] = self.hub.faults.retry_after
        self._send(status, json.dumps({"error": self.hub.faults.message}).encode(), headers)

    def _send_json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._send_head(status, len(body), headers or {})
        if self.command == "GET":
            self.wfile.write(body)

    def _send_head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle are what the tests are about."""


@contextmanager
def serve(models: dict[str, Path], port: int = 0) -> Iterator[Hub]:
    """Serve ``models`` on a free port of 127.0.0.1 until the block ends."""
    hub = Hub(models)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = _Server(("127.0.0.1", port), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _etag(path: Path) -> str:
    if path.name.endswith(LFS_SUFFIX):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return _git_sha1(path)


def _git_sha1(path: Path) -> str:
    data = path.read_bytes()
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("id")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds after every 64 KiB")
    arguments = parser.parse_args()
    with serve({arguments.id: arguments.folder}) as hub:
        hub.faults.seconds_per_chunk = arguments.slow
        print(f"HF_ENDPOINT={hub.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
