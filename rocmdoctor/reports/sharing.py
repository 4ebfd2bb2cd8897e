"""Snapshots that may be shown to strangers: who and where is masked, what a check reads stays.

Every name gets a pseudonym that is the same throughout one snapshot (`user1`, `host1`, ...), so that files still belong
to their owners and two boards are still two. Pure, standard library only and importable by Python 3.8, because
`./run collect --share` is this code. Masking twice changes nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from rocmdoctor.asking import keys
from rocmdoctor.facts import all_facts
from rocmdoctor.facts.base import first_questions
from rocmdoctor.reports.addresses import Addresses
from rocmdoctor.reports.pseudonyms import Numbers, Pseudonyms

# ---------------------------------------------------------------- what identifies

_NAME = r"[^/\s:;,'\"*?\[\]<>|&()\\]+"
_WINDOWS_HOME = re.compile(r"(/[a-z]/Users/|[A-Za-z]:\\Users\\)([^/\\:;\"'\n]+)")
_MAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}(?!service\b|socket\b|mount\b|target\b|slice\b)[A-Za-z]{2,24}(?![\w-])"
)
_URL_HOST = re.compile(r"(?<=://)((?:[^\s/'\"@]{1,256}@)?)([\w.-]{1,253})")
# Names that only a company's or a home's own servers have: no dot, or a suffix that the public DNS does not know.
_OWN_NAME = re.compile(r"[\w-]+|.*\.(?:local|lan|internal|intranet|corp|home|localdomain|private)")
_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])")
_LABELLED = re.compile(
    r"\b(?P<label>(?:[A-Za-z]+[ _-])?serial(?:[ _-]?(?:number|num|no))?|(?:part)?uuid|unique[ _-]?id|machine[ _-]?id|boot[ _-]?id)"
    r"(?P<between>\b[\"']?[ \t]*[:=][ \t]*[\"']?)(?P<value>[\w.-]{5,64})",
    re.IGNORECASE,
)
_KFD_ID = re.compile(r"^((?:unique_id|hive_id|xgmi_hive_id)[ \t]+)(\d{1,20})$", re.MULTILINE)
_ID_FILE = re.compile(r"/(?:unique_id|xgmi_hive_id|serial_number)$")
_CONTAINER = re.compile(
    r"(\b(?:docker|libpod|containers?|crio|cri-containerd|overlay2)[-/:])([0-9a-f]{12,64})\b"
)
_VOLUME = re.compile(r"/dev/(?:disk/by-[a-z]+|mapper)/(?!control\b)[^\s,:'\"]+")
_BOOT = re.compile(
    r"((?:^|\s)(?:root|resume|cryptdevice|ip|nfsroot|ds|hostname|systemd\.hostname|rd\.[a-z.]+)=)(\S+)",
    re.MULTILINE,
)
_MOUNT = re.compile(r"^(.*? - (\S+) )(\S.*)$", re.MULTILINE)
_PLAIN_SOURCE = re.compile(
    r"(?:/dev/(?:sd|nvme|vd|xvd|md|loop|dm-|root|mmcblk)[\w-]*|none|overlay|udev|rootfs)(?:\s.*)?"
)
_LOG_HOST = re.compile(
    r"^((?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}|\d{4}-\d\d-\d\dT[\d:.,+Z-]{8,32}) )([\w.-]+)(?= )", re.MULTILINE
)
_SAYS_HOST = re.compile(r"(?:Hostname set to <|[Ss]et hostname to <|^Linux (?!version))([\w.-]+)")
_HOST_ANSWERS = (
    "env:HOSTNAME",
    "read:/etc/hostname",
    "read:/proc/sys/kernel/hostname",
    "run:hostname",
    "env:HOST",
)
_HOST_FIELDS = ("name", "hostname", "node", "nodename", "host")
_USER_ANSWERS = ("env:USER", "env:LOGNAME", "env:SUDO_USER", "env:USERNAME")

_COMMON = frozenset(
    """
    adm admin amd amdgpu audio bash bin boot build cloud conda cpu cuda daemon data debian default dev disk docker env
    error etc file gpu group hip home host hsa info kernel lib linux localhost log mail main node nobody nogroup none
    nvidia opt overlay pip proc python root run sbin sh share src sudo sys system test tmp torch train training ubuntu
    user users usr var venv version video work workspace render rocm
    """.split()  # noqa: SIM905
)


# ---------------------------------------------------------------- the way through a document


def share(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The snapshot with all names masked. Takes and gives the document as it stands in a file."""
    mask = _Mask(raw)
    return {
        key: _answers(value, mask) if key == "answers" and isinstance(value, dict) else mask.value(value, "")
        for key, value in raw.items()
    }


def _answers(answers: Mapping[str, Any], mask: _Mask) -> dict[str, Any]:
    return {mask.text(key, key): _answer(key, answer, mask) for key, answer in answers.items()}


def _answer(key: str, answer: Any, mask: _Mask) -> Any:
    if not isinstance(answer, dict):
        return mask.value(answer, key)
    masked: dict[str, Any] = {}
    for field, value in answer.items():
        if field in ("files", "unreadable") and isinstance(value, dict):
            masked[field] = {mask.text(path, path): mask.file(path, text) for path, text in value.items()}
        elif field == "text" and isinstance(value, str):
            masked[field] = mask.answered(key, value)
        else:
            masked[field] = mask.value(value, key)
    return masked


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text with the key or path that it belongs to."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield "", name
            yield from _texts(inner, name if "/" in name or ":" in name else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)


@lru_cache(maxsize=1)
def _asked_words() -> frozenset[str]:
    """Words that our own questions use: as names of people they are hidden only where nothing else can be meant."""
    templates = [template for fact in all_facts() for template in fact.templates]
    fixed = [key for query in first_questions(all_facts()) for key in keys(query)]
    return frozenset(re.findall(r"[A-Za-z0-9]+", " ".join(fixed + templates))) | _COMMON


class _Mask:
    """Finds who is named in a snapshot, then masks its texts."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        texts = list(_texts(dict(raw)))
        everything = "\n".join(text for _, text in texts)
        answers = raw.get("answers")
        self._answers: Mapping[str, Any] = answers if isinstance(answers, dict) else {}
        self._users = Pseudonyms(everything, "user")
        self._hosts = Pseudonyms(everything, "host")
        self._volumes = Pseudonyms(everything, "volume")
        self._serials = Pseudonyms(everything, "serial")
        self._containers = Pseudonyms(everything, "container")
        self._mails = Pseudonyms(everything, "user", "@example.org")
        self._uuids = Pseudonyms(everything, "00000000-0000-4000-8000-", width=12)
        self._addresses = Addresses()
        self._numbers = Numbers()
        self._words = _asked_words() | self._said_words()
        self._home = self._find_home()
        self._find_users(texts)
        self._find_hosts(raw, texts)
        self._find_ids(texts)
        self._bare = self._bare_names()

    # -------------------------------------------------------- finding

    def _said(self, key: str) -> str:
        answer = self._answers.get(key)
        text = (answer.get("text") or answer.get("stdout")) if isinstance(answer, dict) else ""
        return text if isinstance(text, str) else ""

    def _said_words(self) -> set[str]:
        """Words of the distribution and of its packages."""
        systems = " ".join(self._said(f"read:{place}/os-release") for place in ("/etc", "/usr/lib"))
        packages = re.findall(r"^Package: (\S+)", self._said("read:/var/lib/dpkg/status"), re.MULTILINE)
        return set(re.findall(r"[A-Za-z0-9]+", " ".join([systems, *packages]))) | set(packages)

    def _find_home(self) -> re.Pattern[str]:
        """The folders in which home folders lie: /home, and where this user's lies."""
        parent, _, name = self._said("env:HOME").rstrip("/").rpartition("/")
        places = [r"(?:/[\w.-]+)*?/home"]
        top = parent.split("/")[1] if parent.startswith("/") else ""
        system = (
            "bin",
            "boot",
            "dev",
            "etc",
            "home",
            "lib",
            "opt",
            "proc",
            "run",
            "sbin",
            "sys",
            "tmp",
            "usr",
            "var",
        )
        if name and top and top not in system:
            places.insert(0, re.escape(parent))
        return re.compile(rf"(?<![\w.-])({'|'.join(places)})/({_NAME})")

    def _find_users(self, texts: list[tuple[str, str]]) -> None:
        home = self._said("env:HOME").rstrip("/")
        found = [home.rpartition("/")[2]] if home.count("/") > 1 else []
        found += [self._said(key).strip() for key in _USER_ANSWERS]
        found += [words[2] for words, number in self._owners() if number >= 1000 and number != 65534]
        for _, text in texts:
            found += [m.group(2) for m in self._home.finditer(text)]
            found += [
                m.group(2) for m in _WINDOWS_HOME.finditer(text) if m.group(2) not in ("Public", "Default")
            ]
        for name in found:
            if (
                name
                and not name.isdigit()
                and name not in ("root", "~")
                and not name.startswith(("$", "{", "<"))
            ):
                self._users.of(name)

    def _owners(self) -> Iterator[tuple[list[str], int]]:
        for key, answer in self._answers.items():
            if key.startswith("stat:") and isinstance(answer, dict) and isinstance(answer.get("text"), str):
                words = answer["text"].split()
                uid = answer.get("uid")
                if len(words) == 4 and words[2] != "root":
                    mine = key == "stat:/proc/self"
                    yield words, uid if isinstance(uid, int) else 1000 * mine

    def _find_hosts(self, raw: Mapping[str, Any], texts: list[tuple[str, str]]) -> None:
        about = raw.get("host")
        found = [about.get(field) for field in _HOST_FIELDS] if isinstance(about, dict) else []
        found += [self._said(key).strip() for key in _HOST_ANSWERS]
        for _, text in texts:
            found += [m.group(2) for m in _LOG_HOST.finditer(text)]
            found += _SAYS_HOST.findall(text)
        for name in found:
            if isinstance(name, str) and name and name != "localhost":
                self._hosts.of(name)

    def _find_ids(self, texts: list[tuple[str, str]]) -> None:
        values = []
        for key, text in texts:
            values += [int(m.group(2)) for m in _KFD_ID.finditer(text)]
            if _ID_FILE.search(key):
                values.append(_number("id", text.strip()))
            for match in _LABELLED.finditer(text):
                label, value = match.group("label"), match.group("value")
                values.append(_number(label, value))
                if _is_serial(label, value):
                    self._serials.of(value)
        self._numbers.see(v for v in values if v > 0)

    def _bare_names(self) -> Callable[[str], str]:
        """Replaces users, hosts, serial and id numbers wherever they stand alone."""
        swap = {}
        for kind in (self._users, self._hosts):
            swap.update({n: p for n, p in kind.known.items() if len(n) > 1 and n not in self._words})
        swap.update({n: p for n, p in self._serials.known.items() if len(n) > 5})
        forms = {n: p for n, p in self._numbers.forms().items() if len(n) > 7}
        swap.update(forms)
        if not swap:
            return lambda text: text
        names = "|".join(re.escape(n) for n in sorted(swap, key=len, reverse=True))
        pattern = re.compile(
            rf"(?<![A-Za-z0-9])(0[xX])?({names})(?![A-Za-z0-9])", re.IGNORECASE if forms else 0
        )

        def found(match: re.Match[str]) -> str:
            word = match.group(2)
            name = swap.get(word) or forms.get(word.lower())
            return match.group(0) if name is None else (match.group(1) or "") + name

        return lambda text: pattern.sub(found, text)

    # -------------------------------------------------------- masking

    def value(self, value: Any, key: str) -> Any:
        """Any part of the document that is not looked into otherwise."""
        if isinstance(value, str):
            return self.text(value, key)
        if isinstance(value, dict):
            return {self.text(k, key) if "/" in k else k: self.value(v, key) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(inner, key) for inner in value]
        return value

    def file(self, path: str, text: Any) -> Any:
        """The text of a file."""
        if isinstance(text, str) and _ID_FILE.search(path):
            return self._labelled_value("id", text.strip()) + text[len(text.rstrip()) :]
        return self.text(text, path) if isinstance(text, str) else self.value(text, path)

    def answered(self, key: str, text: str) -> Any:
        """The text of an answer, which for some questions has names at known places."""
        if key.startswith("stat:"):
            words = text.split(" ")
            return " ".join(words[:2] + [self._owner(word, words) for word in words[2:]])
        if key == "read:/etc/group":
            text = self._members(text)
        elif key.startswith("read:/proc/") and key.endswith("/mountinfo"):
            text = _MOUNT.sub(self._source, text)
        return self.file(key, text)

    def _owner(self, word: str, words: list[str]) -> str:
        # A user's own group has the user's name; other groups that share a name with a user are the system's.
        mine = word == words[2] or word not in self._words
        return self._users.known.get(word, word) if mine else word

    def _members(self, text: str) -> str:
        """Group names stay; whoever stands behind the number is a member."""
        lines = text.split("\n")
        for number, line in enumerate(lines):
            following = lines[number + 1] if number + 1 < len(lines) else ""
            if not following.isdigit() or line.isdigit():
                lines[number] = self._users.known.get(line, line)
        return "\n".join(lines)

    def _source(self, match: re.Match[str]) -> str:
        kind, rest = match.group(2), match.group(3)
        if rest.split()[0] == kind or _PLAIN_SOURCE.fullmatch(rest):
            return match.group(1) + rest.split()[0]
        return match.group(1) + self._volumes.of(rest.split()[0])

    def text(self, text: str, key: str) -> str:
        """A text, with everything that identifies masked."""
        text = self._home.sub(self._home_folder, text)
        text = _WINDOWS_HOME.sub(lambda m: m.group(1) + self._users.known.get(m.group(2), m.group(2)), text)
        if "cmdline" in key:
            text = _BOOT.sub(lambda m: m.group(1) + self._volumes.of(m.group(2)), text)
        text = _VOLUME.sub(lambda m: self._volume(m.group(0)), text)
        text = _LOG_HOST.sub(lambda m: m.group(1) + self._hosts.of(m.group(2)), text)
        text = _MAIL.sub(lambda m: self._mails.of(m.group(0)), text)
        text = _URL_HOST.sub(self._url_host, text)
        text = self._addresses.mask(text, key)
        text = _UUID.sub(self._uuid, text)
        text = _KFD_ID.sub(lambda m: m.group(1) + self._id(m.group(2)), text)
        text = _LABELLED.sub(
            lambda m: (
                m.group("label")
                + m.group("between")
                + self._labelled_value(m.group("label"), m.group("value"))
            ),
            text,
        )
        text = _CONTAINER.sub(lambda m: m.group(1) + self._containers.of(m.group(2)), text)
        return self._bare(text)

    def _home_folder(self, match: re.Match[str]) -> str:
        place, name = match.groups()
        if name not in self._users.known:
            return match.group(0)
        return f"{place if place.endswith('/home') else '/home'}/{self._users.known[name]}"

    def _volume(self, path: str) -> str:
        place, _, name = path.rpartition("/")
        return f"{place}/{self._volumes.of(name)}"

    def _url_host(self, match: re.Match[str]) -> str:
        user, host = match.groups()
        own = _OWN_NAME.fullmatch(host) and host != "localhost"
        return user + (self._hosts.of(host) if own else host)

    def _uuid(self, match: re.Match[str]) -> str:
        # Names of firmware variables are the same everywhere.
        if "efivars/" in match.string[max(0, match.start() - 80) : match.start()]:
            return match.group(0)
        text = match.group(0).lower()
        return self._uuids.of(text) if not text.startswith("00000000-0000-4000-8000-") else text

    def _id(self, text: str) -> str:
        return str(self._numbers.known.get(int(text), int(text)))

    def _labelled_value(self, label: str, text: str) -> str:
        number = _number(label, text)
        if number >= 0:
            fresh = self._numbers.known.get(number, number)
            head, digits = _BEFORE_ID.match(text).group(0), _BEFORE_ID.sub("", text)  # type: ignore[union-attr]
            decimal = not head and digits.isdigit() and len(digits) != 16
            return str(fresh) if decimal else f"{head}{fresh:0{len(digits)}x}"
        return self._serials.of(text) if _is_serial(label, text) else text


_BEFORE_ID = re.compile(r"(?:0[xX]|GPU-)?")


def _number(label: str, text: str) -> int:
    """The value of a board's id written in hex or in decimal, -1 for anything else."""
    if re.fullmatch(r"0[xX][0-9A-Fa-f]{5,32}|(?:GPU-)?[0-9A-Fa-f]{16}", text):
        return int(_BEFORE_ID.sub("", text), 16)
    return int(text) if "serial" not in label.lower() and re.fullmatch(r"\d{5,20}", text) else -1


def _is_serial(label: str, text: str) -> bool:
    return (
        _number(label, text) < 0
        and bool(re.search(r"\d", text))
        and not re.fullmatch(r"serial\d+|volume\d+|0x.*|.*XX.*", text)
        and not _UUID.fullmatch(text)
    )
