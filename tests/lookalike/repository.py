"""Signed package archives in folders, laid out as their owners lay them out."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lookalike.debs import Deb, stanzas
from tests.lookalike.keys import Key


@dataclass(frozen=True)
class About:
    """What a Release file says of an archive."""

    origin: str
    label: str
    suite: str

    def text(self, components: Iterable[str]) -> str:
        now = dt.datetime.now(tz=dt.timezone.utc)
        return (
            f"Origin: {self.origin}\nLabel: {self.label}\nSuite: {self.suite}\nCodename: {self.suite}\n"
            f"Date: {now:%a, %d %b %Y %H:%M:%S UTC}\nArchitectures: amd64\nComponents: {' '.join(components)}\n"
            "Description: a look-alike for tests, made by the project that is tested\n"
        )


def add(pool: Path, packages: Iterable[Deb]) -> None:
    """Writes packages into a folder."""
    for package in packages:
        prefix = package.name[:4] if package.name.startswith("lib") else package.name[0]
        path = pool / prefix / package.name / package.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(package.build())


def publish(base: Path, components: Mapping[str, Iterable[Deb]], about: About, key: Key) -> None:
    """An archive with dists/ and pool/."""
    dist = base / "dists" / about.suite
    for component, packages in components.items():
        pool = base / "pool" / component
        add(pool, packages)
        _index(dist / component / "binary-amd64", "\n".join(stanzas(pool, base)))
    _release(dist, about, key, components)


def publish_flat(base: Path, packages: Iterable[Deb], about: About, key: Key) -> None:
    """An archive that is one folder."""
    base.mkdir(parents=True, exist_ok=True)
    for package in packages:
        (base / package.file_name).write_bytes(package.build())
    _index(base, "\n".join(stanzas(base, base)))
    _release(base, about, key, ())


def _index(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Packages").write_text(text, encoding="utf-8")
    (folder / "Packages.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def _release(folder: Path, about: About, key: Key, components: Iterable[str]) -> None:
    lines = ["SHA256:"]
    for path in sorted(p for p in folder.rglob("Packages*") if p.is_file()):
        data = path.read_bytes()
        lines.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {path.relative_to(folder)}")
    text = (about.text(components) + "\n".join(lines) + "\n").encode()
    (folder / "Release").write_bytes(text)
    (folder / "Release.gpg").write_bytes(key.detached(text))
    (folder / "InRelease").write_bytes(key.clear_sign(text))
