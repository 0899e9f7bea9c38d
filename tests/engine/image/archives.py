"""Archives for tests, made by Python's own tarfile, with anything in them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from typing import Any


def entry(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """One entry; a `type` of tarfile's, `linkname`, `mode`, `uid`, `pax_headers`…"""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def folder(name: str, mode: int = 0o755, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A folder."""
    return entry(name, type=tarfile.DIRTYPE, mode=mode, **fields)


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """A symbolic link."""
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


def tar(*entries: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive of entries as they are given, however strange."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config(*layers: bytes, **run: Any) -> bytes:
    """An image config whose layers unpack to these archives."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-05-06T07:08:09.123456789Z",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
    }
    return json.dumps(document).encode()


def docker_archive(*layers: bytes, names: list[str] | None = None, **run: Any) -> bytes:
    """What `docker save` wrote before it wrote OCI layouts."""
    text = config(*layers, **run)
    paths = [f"{number}/layer.tar" for number in range(len(layers))]
    row = {"Config": "config.json", "RepoTags": names, "Layers": paths}
    return tar(
        *(entry(path, layer) for path, layer in zip(paths, layers, strict=True)),
        entry("config.json", text),
        entry("manifest.json", json.dumps([row]).encode()),
    )


class Layout:
    """An OCI layout in the making."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
        self.rows: list[dict[str, Any]] = []

    def blob(self, data: bytes) -> dict[str, Any]:
        digest = sha256(data)
        self.files[f"blobs/sha256/{digest[7:]}"] = data
        return {"digest": digest, "size": len(data)}

    def manifest(
        self, *layers: bytes, pack: Callable[[bytes], bytes] = bytes, **run: Any
    ) -> dict[str, Any]:
        document = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.blob(config(*layers, **run)),
            "layers": [self.blob(pack(layer)) for layer in layers],
        }
        return self.blob(json.dumps(document).encode())

    def index(self, *rows: Mapping[str, Any]) -> dict[str, Any]:
        return self.blob(json.dumps({"schemaVersion": 2, "manifests": rows}).encode())

    def add(self, descriptor: dict[str, Any], **annotations: str) -> "Layout":
        keys = {"ref": "org.opencontainers.image.ref.name", "name": "io.containerd.image.name"}
        notes = {keys[key]: value for key, value in annotations.items()}
        self.rows.append({**descriptor, "annotations": notes})
        return self

    def all_files(self) -> dict[str, bytes]:
        index = json.dumps({"schemaVersion": 2, "manifests": self.rows}).encode()
        return {**self.files, "index.json": index}

    def archive(self) -> bytes:
        return tar(*(entry(name, data) for name, data in self.all_files().items()))
