"""Package sources of GPU vendors as apt reads them, their keys, and pins."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from rocmdoctor.facts.base import Evidence, Fact, Table, UnknownError
from rocmdoctor.frozen import frozen
from rocmdoctor.model import Glob, List, Query, Read, Run, Stat

# Only lines that name a GPU vendor leave the machine; `arch=amd64` is not such a name.
_VENDOR = r"(?:radeon|rocm|amdgpu|amd\.com|amdrocm|nvidia|cuda)"
_LINE = rf"^[ \t]*deb(?:-src)?[ \t][^#\n]*{_VENDOR}[^#\n]*"
_STANZA = (
    r"^(?:(?:Types|Suites|Components|Architectures|Signed-By|Trusted|Enabled):[^\n]*"
    rf"|[ \t]+https?://[^\n]*{_VENDOR}[^\n]*|[ \t]+-----BEGIN PGP[^\n]*|)$"
    rf"|^URIs:(?:[^\n]*{_VENDOR}[^\n]*)?"
)
_PIN = r"^(?:Package|Pin|Pin-Priority):[^\n]*|^$"
_NAMED_KEY = re.compile(r"rocm|amdgpu|radeon", re.IGNORECASE)
# gpg refuses a home folder that does not exist and writes into one that it can write: /proc is neither. Without
# --fast-list-mode gpg 2.2 wants a trust database as soon as a key has expired.
_GPG = (
    "gpg", "--batch", "--no-options", "--no-keyring", "--no-autostart", "--homedir", "/proc", "--trust-model",
    "always", "--fast-list-mode", "--with-colons", "--show-keys",
)  # fmt: skip


@frozen
class Source:
    """One repository line: `suite` and `uri` as written, `signed_by` a path, a fingerprint, `inline` or "".

    `place` is the file, with the line where it is a list.
    """

    place: str
    uri: str
    suite: str
    components: tuple[str, ...]
    arch: str
    signed_by: str
    trusted: bool

    @property
    def host(self) -> str:
        """The server's name, without port."""
        return re.sub(r"^[^/]*//", "", self.uri).split("/")[0].rpartition("@")[2].split(":")[0].lower()

    @property
    def path(self) -> str:
        """The path below the server, without slashes at its ends."""
        return re.sub(r"^[^/]*//[^/]*", "", self.uri).strip("/")

    @property
    def line(self) -> str:
        """In one line, as apt names repositories."""
        return " ".join([self.uri, self.suite, *self.components])


@frozen
class AptSources(Fact):
    """Enabled repositories whose lines name a GPU vendor."""

    sources: tuple[Source, ...]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return _source_queries()

    @classmethod
    def parse(cls, ev: Evidence) -> AptSources:
        if all(ev[name].why == "not-asked" for name in ("list", "lists", "stanzas")):
            raise UnknownError(f"{ev.key('lists')}: not asked")
        return cls(tuple(_sources(ev)))


def _source_queries() -> dict[str, Query]:
    return {
        "list": Read("/etc/apt/sources.list", keep=_LINE),
        "lists": Glob("/etc/apt/sources.list.d/*.list", keep=_LINE),
        "stanzas": Glob("/etc/apt/sources.list.d/*.sources", keep=_STANZA),
    }


def _sources(ev: Evidence) -> Iterator[Source]:
    texts = {"/etc/apt/sources.list": ev["list"].text} if ev["list"].ok else {}
    for path, text in {**texts, **ev["lists"].files}.items():
        for line in text.splitlines():
            yield from _one_line(path, line)
    for path, text in ev["stanzas"].files.items():
        for stanza in re.split(r"\n[ \t]*\n", text):
            yield from _deb822(path, stanza)


# sources.list(5): deb [ option=value ... ] uri suite component...
_ONE_LINE = re.compile(
    r"\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<parts>(?:\s+\S+)*)"
)


def _one_line(path: str, line: str) -> Iterator[Source]:
    match = _ONE_LINE.match(line)
    if match is None:
        return
    options = dict(p.split("=", 1) for p in (match.group("options") or "").split() if "=" in p)
    yield Source(
        place=path,
        uri=match.group("uri").rstrip("/"),
        suite=match.group("suite"),
        components=tuple(match.group("parts").split()),
        arch=options.get("arch", ""),
        signed_by=options.get("signed-by", "").split(",")[0],
        trusted=_yes(options.get("trusted", "")),
    )


def _deb822(path: str, stanza: str) -> Iterator[Source]:
    values: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace():
            values[name] = f"{values.get(name, '')} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            values[name] = value.strip()
    if not _yes(values.get("enabled", "yes")) or "deb" not in values.get("types", "deb").split():
        return
    key = values.get("signed-by", "")
    for uri in re.findall(r"\S+://\S+", values.get("uris", "")):
        for suite in values.get("suites", "").split() or [""]:
            yield Source(
                place=path,
                uri=uri.rstrip("/"),
                suite=suite,
                components=tuple(values.get("components", "").split()),
                arch=values.get("architectures", ""),
                signed_by="inline" if "BEGIN PGP" in key else (key.split() or [""])[0],
                trusted=_yes(values.get("trusted", "")),
            )


def _yes(word: str) -> bool:
    # apt-pkg/contrib/strutl.cc, StringToBool.
    return word.strip().lower() in ("yes", "true", "with", "on", "enable", "1")


@frozen
class Key:
    """A public key. `validity` is gpg's letter: e is expired, r revoked, - without judgement."""

    fingerprint: str
    validity: str
    expires: int | None
    owner: str


@frozen
class KeyFile:
    """A file that holds keys. `keys` is None where gpg could not be asked; `there` None where nobody could look."""

    path: str
    there: bool | None
    keys: tuple[Key, ...] | None
    why: str = ""


@frozen
class AptKeys(Fact):
    """Key files that repository lines name, and those that are trusted for every repository."""

    named: Mapping[str, KeyFile]
    general: Mapping[str, KeyFile]
    templates: ClassVar[tuple[str, ...]] = (
        "stat:<key file of a repository>",
        f"run:{' '.join(_GPG)} <key file of a repository>",
    )

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            **_source_queries(),
            "trusted": List("/etc/apt/trusted.gpg.d"),
            "old": Stat("/etc/apt/trusted.gpg"),
        }

    @classmethod
    def follow_up(cls, ev: Evidence) -> Mapping[str, Query]:
        asked: dict[str, Query] = {}
        for path in [*_named_files(ev), *_general_files(ev)]:
            asked[f"stat {path}"] = Stat(path)
            asked[f"keys {path}"] = ask_keys(path)
        return asked

    @classmethod
    def parse(cls, ev: Evidence) -> AptKeys:
        return cls(
            named={path: read_key_file(path, ev) for path in _named_files(ev)},
            general={path: read_key_file(path, ev) for path in _general_files(ev)},
        )


def _named_files(ev: Evidence) -> list[str]:
    return sorted({s.signed_by for s in _sources(ev) if s.signed_by.startswith("/")})


def _general_files(ev: Evidence) -> list[str]:
    if not any(not s.signed_by for s in _sources(ev)):
        return []
    names = [
        n.rstrip("@") for n in ev["trusted"].text.split("\n") if n.rstrip("@").endswith((".gpg", ".asc"))
    ]
    paths = [f"/etc/apt/trusted.gpg.d/{n}" for n in names if _NAMED_KEY.search(n)]
    return paths + (["/etc/apt/trusted.gpg"] if ev["old"].ok else [])


def ask_keys(path: str) -> Run:
    """Which keys a file holds."""
    return Run((*_GPG, path), touches="process", limit=1 << 16)


def read_key_file(path: str, ev: Evidence) -> KeyFile:
    """The keys of a file, from the answers `stat <path>` and `keys <path>`."""
    seen = ev[f"stat {path}"]
    there = True if seen.ok else False if seen.why == "absent" else None
    ran = ev[f"keys {path}"]
    if not ran.ok or not there:
        return KeyFile(path, there, None, "gpg is not installed" if ran.why == "absent" else ran.why)
    keys = tuple(_keys(ran.stdout))
    if not keys and ran.exit_code and "no valid OpenPGP data" not in ran.stderr:
        return KeyFile(path, there, None, (ran.stderr.strip().splitlines() or ["gpg failed"])[-1])
    return KeyFile(path, there, keys)


def _keys(colons: str) -> Iterator[Key]:
    """The primary keys of gpg's colon listing. Source: GnuPG doc/DETAILS."""
    fields: list[str] = []
    fingerprint = ""
    for line in [*colons.splitlines(), "pub"]:
        parts = line.split(":")
        if parts[0] == "pub":
            if len(fields) > 6:
                owner = fields[9] if len(fields) > 9 else ""
                yield Key(fingerprint or fields[4], fields[1], _number(fields[6]), owner)
            fields, fingerprint = parts, ""
        elif parts[0] == "fpr" and not fingerprint and len(parts) > 9:
            fingerprint = parts[9]
        elif parts[0] == "uid" and len(parts) > 9 and len(fields) > 9 and not fields[9]:
            fields[9] = parts[9]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 15 else None


@frozen
class Pin:
    """A stanza of apt_preferences(5)."""

    place: str
    packages: tuple[str, ...]
    pin: str
    priority: int | None

    def covers(self, package: str) -> bool:
        """A name, a pattern of the shell, or /an expression/."""
        return any(
            re.search(p[1:-1], package) is not None
            if len(p) > 2 and p[0] == p[-1] == "/" and _compiles(p[1:-1])
            else fnmatch.fnmatchcase(package, p)
            for p in self.packages
        )

    def origin(self) -> str | None:
        """The `Origin:` field that `release o=` asks for, quotes included; None when it pins by something else."""
        match = re.match(r"release\b.*?\bo=([^,]*)", self.pin)
        return match.group(1).strip() if match else None

    def prefers(self, origin: str) -> bool:
        """It pins that origin or server: apt takes patterns, and large letters for small ones, but no quotes after o=."""
        said = self.origin()
        return self.site() == origin or (said is not None and fnmatch.fnmatchcase(origin, said.lower()))

    def site(self) -> str | None:
        """The server that `origin` asks for."""
        match = re.match(r'origin\s*"?([^"]*)"?', self.pin)
        return match.group(1).strip() if match else None


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


@frozen
class AptPins(Fact):
    """All pins, in the order of apt."""

    pins: tuple[Pin, ...]

    @classmethod
    def queries(cls) -> Mapping[str, Query]:
        return {
            "one": Read("/etc/apt/preferences", keep=_PIN),
            "many": Glob("/etc/apt/preferences.d/*", keep=_PIN),
        }

    @classmethod
    def parse(cls, ev: Evidence) -> AptPins:
        texts = {"/etc/apt/preferences": ev.text("one", absent="")}
        for path, text in ev.files("many").items():
            # apt_preferences(5): names with an ending other than .pref are passed over.
            name = path.rpartition("/")[2]
            if "." not in name or name.endswith(".pref"):
                texts[path] = text
        return cls(tuple(pin for path in sorted(texts) for pin in _pins(path, texts[path])))


def _pins(path: str, text: str) -> Iterator[Pin]:
    for stanza in re.split(r"\n\s*\n", text):
        values = dict(line.split(":", 1) for line in stanza.splitlines() if ":" in line)
        if {"Package", "Pin"} <= set(values):
            number = values.get("Pin-Priority", "").strip()
            yield Pin(
                place=path,
                packages=tuple(values["Package"].split()),
                pin=values["Pin"].strip(),
                priority=int(number) if re.fullmatch(r"-?\d{1,6}", number) else None,
            )


@frozen
class RepositoryTable(Table):
    """Vendors' servers, what their paths look like today, and their keys."""

    file: ClassVar[str] = "repositories.toml"
    amd_hosts: tuple[str, ...]
    nvidia_hosts: tuple[str, ...]
    fingerprints: tuple[str, ...]
    dead: tuple[tuple[re.Pattern[str], str], ...]
    codenames: Mapping[str, tuple[str, ...]]
    version: re.Pattern[str]
    kinds: Mapping[str, re.Pattern[str]]
    suites: Mapping[str, str]
    pin_origin: str
    pin_priority: int
    key_url: str
    keyring: str
    owners: Mapping[str, re.Pattern[str]]

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> RepositoryTable:
        return cls(
            amd_hosts=tuple(data["hosts"]["amd"]),
            nvidia_hosts=tuple(data["hosts"]["nvidia"]),
            fingerprints=tuple(data["key"]["fingerprints"]),
            dead=tuple((re.compile(row["pattern"]), row["why"]) for row in data["dead"]),
            codenames={name: tuple(works) for name, works in data["codenames"].items()},
            version=re.compile(data["paths"]["version"]),
            kinds={name: re.compile(value) for name, value in data["paths"]["kinds"].items()},
            suites=dict(data["suites"]),
            pin_origin=data["pin"]["origin"],
            pin_priority=data["pin"]["priority"],
            key_url=data["key"]["url"],
            keyring=data["key"]["keyring"],
            owners={name: re.compile(value) for name, value in data["key"]["owners"].items()},
        )

    def vendor(self, source: Source) -> str | None:
        """`amd`, `nvidia` or None."""
        for vendor, hosts in (("amd", self.amd_hosts), ("nvidia", self.nvidia_hosts)):
            if any(source.host == h or source.host.endswith("." + h) for h in hosts):
                return vendor
        return None

    def signs_for(self, key: Key) -> str | None:
        """Whose key it is: `amd`, `nvidia` or None."""
        if key.fingerprint in self.fingerprints:
            return "amd"
        return next((vendor for vendor, owner in self.owners.items() if owner.search(key.owner)), None)

    def hosts(self, vendor: str) -> tuple[str, ...]:
        """The servers of `amd` or `nvidia`."""
        return self.amd_hosts if vendor == "amd" else self.nvidia_hosts

    def kind(self, source: Source) -> str | None:
        """Which of a vendor's repositories it is."""
        return next((name for name, shape in self.kinds.items() if shape.search(source.path)), None)

    def release(self, source: Source) -> str | None:
        """The version in the path."""
        match = self.version.search(source.path)
        return match.group(1) if match else None
