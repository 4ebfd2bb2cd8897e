"""Debian packages, written without any tool of Debian's. See deb(5)."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class File:
    """A file of a package; a symbolic link where `link` names a target."""

    content: str | bytes = ""
    mode: int = 0o644
    link: str = ""

    @property
    def data(self) -> bytes:
        return self.content.encode() if isinstance(self.content, str) else self.content


@dataclass(frozen=True)
class Deb:
    """A binary package. `files` and `scripts` by path and by name; `conffiles` are paths of files that users may change."""

    name: str
    version: str
    about: str
    maintainer: str
    arch: str = "amd64"
    section: str = "devel"
    depends: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_{self.arch}.deb"

    @property
    def control(self) -> str:
        """The stanza, without what only an archive says."""
        size = sum(len(file.data) for file in self.files.values()) // 1024 + 1
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.arch,
            "Maintainer": self.maintainer,
            "Installed-Size": str(size),
            "Depends": ", ".join(self.depends),
            "Conflicts": ", ".join(self.conflicts),
            "Replaces": ", ".join(self.replaces),
            "Provides": ", ".join(self.provides),
            "Section": self.section,
            "Priority": "optional",
            "Description": self.about,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)

    def build(self) -> bytes:
        """The archive; the same bytes for the same package."""
        control = {"./control": File(self.control)}
        control |= {f"./{name}": File(text, 0o755) for name, text in self.scripts.items()}
        if self.conffiles:
            control["./conffiles"] = File("".join(f"{path}\n" for path in self.conffiles))
        members = {
            "debian-binary": b"2.0\n",
            "control.tar.gz": _tar(control),
            "data.tar.gz": _tar({f".{path}": file for path, file in self.files.items()}),
        }
        return b"!<arch>\n" + b"".join(_member(name, data) for name, data in members.items())


def _member(name: str, data: bytes) -> bytes:
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
    return head + data + b"\n" * (len(data) % 2)


def _tar(files: Mapping[str, File]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder in sorted({str(above) for path in files for above in PurePosixPath(path).parents}):
            info = tarfile.TarInfo("./" if folder == "." else f"./{folder}")
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for path, file in sorted(files.items()):
            info = tarfile.TarInfo(path)
            info.mode = file.mode
            if file.link:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, file.link, 0o777
                tar.addfile(info)
            else:
                info.size = len(file.data)
                tar.addfile(info, io.BytesIO(file.data))
    return gzip.compress(out.getvalue(), 1, mtime=0)


def stanzas(folder: Path, base: Path) -> Iterator[str]:
    """What Packages says of each package in a folder; file names are told from `base`."""
    for path in sorted(folder.rglob("*.deb")):
        data = path.read_bytes()
        yield (
            f"{_control_of(data)}Filename: {path.relative_to(base)}\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n"
        )


def _control_of(data: bytes) -> str:
    at = 8
    while at < len(data):
        name, size = data[at : at + 16].decode().strip(), int(data[at + 48 : at + 58])
        if name == "control.tar.gz":
            with tarfile.open(fileobj=io.BytesIO(data[at + 60 : at + 60 + size])) as tar:
                found = tar.extractfile("./control")
                assert found is not None
                return found.read().decode()
        at += 60 + size + size % 2
    raise AssertionError("no control in this package")
