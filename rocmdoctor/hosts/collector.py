"""Asks a machine questions and never lets it hold us: with `programs.py`, all that reads live machines.

Standard library only, so that it also runs where nothing is installed, down to Python 3.8. Questions are plain dicts
(see `rocmdoctor.asking.as_question`), answers plain dicts as they stand in a snapshot.

Reads of sysfs can block for ever, children can get stuck in the kernel, and grandchildren can keep a pipe open:
every question is asked in a daemon thread, every child in a session of its own, and whoever is late is left behind.
"""

from __future__ import annotations

import errno
import glob as globbing
import grp
import os
import pwd
import queue
import re
import stat as st
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Dict

from rocmdoctor.hosts import elf
from rocmdoctor.hosts.programs import GRACE, child, stop_all, which
from rocmdoctor.hosts.tree import MAX_FILES, Tree, utf8
from rocmdoctor.hosts.words import decode, printable, without_secrets

WORKERS = 16
MAX_LIBRARIES = 64  # of one pattern
MAX_BYTES = 64 << 20  # of all files of one pattern together
Question = Dict[str, Any]


def _kept(text: str, keep: str) -> str:
    """What `keep` matches, one match a line: the rest never leaves the machine."""
    if not keep:
        return text
    return "".join(match.group(0) + "\n" for match in re.finditer(keep, text, re.M))


def _why(error: OSError) -> dict[str, Any]:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        why = "absent"
    elif isinstance(error, PermissionError):
        why = "permission"
    else:
        why = "error"
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return {"ok": False, "why": why, "detail": name}


def _read(tree: Tree, q: Question) -> dict[str, Any]:
    data, more = tree.read(q["path"], q["limit"])
    answer: dict[str, Any] = {"ok": True, "text": _kept(decode(data, more), q["keep"])}
    if more:
        answer["detail"] = "cut after %d bytes" % q["limit"]
    return answer


def _glob(tree: Tree, q: Question) -> dict[str, Any]:
    fixed = []
    for part in q["pattern"].split("/"):
        if globbing.has_magic(part):
            break
        fixed.append(part)
    os.stat(tree.real("/".join(fixed) or "/"))
    files: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    left = MAX_BYTES
    for path in tree.matches(q["pattern"]):
        if left <= 0:
            break
        try:
            data, more = tree.read(path, min(left, q["limit"]))
        except OSError as error:
            why = _why(error)
            if why["why"] != "absent" and why["detail"] != "EINVAL":
                unreadable[path] = why["detail"]
        else:
            files[path] = _kept(decode(data, more), q["keep"])
            left -= len(data)
    return _globbed(files, unreadable, left)


def _elf(tree: Tree, q: Question) -> dict[str, Any]:
    files: dict[str, str] = {}
    for path in tree.matches(q["pattern"])[:MAX_LIBRARIES]:
        try:
            with tree.opened(path) as file:
                files[path] = decode(elf.describe(file).encode("utf-8", "backslashreplace"), cut=False)
        except (OSError, elf.NotElfError):
            continue
    return {"ok": True, "files": files}


def _globbed(files: dict[str, str], unreadable: dict[str, str], left: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"ok": True, "files": files}
    if unreadable:
        answer["unreadable"] = unreadable
    if unreadable and not files:
        # None of those that are there could be read: that is not "there are none".
        names = set(unreadable.values())
        answer.update(
            ok=False, why="permission" if names <= {"EACCES", "EPERM"} else "error", detail=min(names)
        )
    elif left <= 0:
        answer["detail"] = "cut after %d bytes" % MAX_BYTES
    return answer


def _owner(tree: Tree, info: os.stat_result) -> tuple[str, str]:
    """Names from the machine's own files, numbers where it has none."""
    if tree.live:
        try:
            user = printable(pwd.getpwuid(info.st_uid).pw_name)
        except KeyError:
            user = str(info.st_uid)
        try:
            return user, printable(grp.getgrgid(info.st_gid).gr_name)
        except KeyError:
            return user, str(info.st_gid)
    return _name(tree, "/etc/passwd", info.st_uid), _name(tree, "/etc/group", info.st_gid)


def _name(tree: Tree, path: str, number: int) -> str:
    try:
        lines = tree.read(path, 1 << 20)[0].decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    return next(
        (f[0] for f in (ln.split(":") for ln in lines) if len(f) > 2 and f[2] == str(number)), str(number)
    )


_KINDS = (
    (st.S_ISCHR, "char"),
    (st.S_ISDIR, "dir"),
    (st.S_ISREG, "file"),
    (st.S_ISBLK, "block"),
    (st.S_ISFIFO, "fifo"),
)


def _stat(tree: Tree, q: Question) -> dict[str, Any]:
    info = os.stat(tree.real(q["path"]))
    kind = next((name for test, name in _KINDS if test(info.st_mode)), "other")
    text = "%s %04o %s %s" % ((kind, st.S_IMODE(info.st_mode)) + _owner(tree, info))
    return {"ok": True, "text": text, "uid": info.st_uid, "gid": info.st_gid}


def _link(tree: Tree, q: Question) -> dict[str, Any]:
    head, _, tail = q["path"].rpartition("/")
    return {"ok": True, "text": printable(os.readlink(os.path.join(tree.real(head or "/"), tail)))}


def _list(tree: Tree, q: Question) -> dict[str, Any]:
    names: list[str] = []
    answer: dict[str, Any] = {"ok": True}
    with os.scandir(tree.real(q["path"])) as entries:
        for entry in entries:
            if len(names) >= MAX_FILES:
                answer["detail"] = "cut after %d names" % MAX_FILES
                break
            if utf8(entry.name) and "\n" not in entry.name:
                mark = "@" if entry.is_symlink() else "/" if entry.is_dir() else ""
                names.append(entry.name + mark + "\n")
    answer["text"] = "".join(sorted(names))
    return answer


def _disk(tree: Tree, q: Question) -> dict[str, Any]:
    if not tree.live:
        return {"ok": False, "why": "not-asked"}
    info = os.statvfs(q["path"])
    return {"ok": True, "text": "%d %d" % (info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize)}


def _access(tree: Tree, q: Question) -> dict[str, Any]:
    if not tree.live:
        return {"ok": False, "why": "not-asked"}
    os.close(os.open(q["path"], os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
    return {"ok": True, "text": "read-write"}


def _run(tree: Tree, q: Question) -> dict[str, Any]:
    if not tree.live:
        return {"ok": False, "why": "not-asked"}
    path = which(q["argv"][0])
    if path is None:
        return {"ok": False, "why": "absent"}
    started = time.monotonic()
    code, out, err = child([path] + list(q["argv"][1:]), q["timeout"], q["limit"])
    answer: dict[str, Any] = (
        {"ok": True, "exit_code": code} if code is not None else {"ok": False, "why": "timeout"}
    )
    if code is None and max(len(out), len(err)) >= q["limit"]:
        answer["detail"] = "it prints without end"
    answer.update(stdout=_kept(out, q["keep"]), stderr=err, path=printable(path))
    answer["seconds"] = round(time.monotonic() - started, 3)
    return answer


_ASK = {
    "read": _read, "stat": _stat, "link": _link, "list": _list, "glob": _glob, "disk": _disk, "access": _access,
    "run": _run, "elf": _elf,
}  # fmt: skip


def _answer(tree: Tree, question: Question) -> dict[str, Any]:
    try:
        return _ASK[question["kind"]](tree, question)
    except OSError as error:
        return _why(error)
    except Exception as error:  # one odd file must not cost the whole snapshot
        return {"ok": False, "why": "error", "detail": "%s: %s" % (type(error).__name__, error)}


def _env(question: Question, live: bool) -> dict[str, Any]:  # noqa: FBT001
    answers: dict[str, Any] = {}
    for name in question["names"]:
        value = os.environ.get(name) if live else None
        if value is not None:
            answers["env:" + name] = {
                "ok": True,
                "text": _kept(without_secrets(printable(value)), question["keep"]),
            }
        else:
            answers["env:" + name] = {"ok": False, "why": "absent" if live else "not-asked"}
    return answers


def ask(
    questions: Iterable[Question],
    root: str = "/",
    deadline: float = 5.0,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Answers by key. Takes at most `deadline` seconds: what has no answer by then is answered `timeout`."""
    crew = _Crew(Tree(root), time.monotonic() + deadline)
    answers: dict[str, Any] = {}
    # Programs first: they are the slow ones, and files are read while they run.
    for question in sorted(questions, key=lambda q: q["kind"] != "run"):
        if question["kind"] == "env":
            answers.update(_env(question, crew.tree.live))
        else:
            crew.waiting[question["keys"][0]] = question
            crew.todo.put(question)
    for _ in range(min(WORKERS, len(crew.waiting))):
        crew.hire()
    try:
        while crew.waiting and time.monotonic() < crew.until:
            for key, answer in crew.next_answers():
                answers[key] = answer
                if progress:
                    progress(key)
    finally:
        stop_all()
    for key in crew.waiting:
        answers[key] = {"ok": False, "why": "timeout", **crew.turn(key)}
    return answers


class _Crew:
    """Daemon threads that take questions; one that is stuck in a question is replaced and left behind."""

    def __init__(self, tree: Tree, until: float) -> None:
        self.tree = tree
        self.until = until
        self.waiting: dict[str, Question] = {}
        self.todo: queue.Queue[Question] = queue.Queue()
        self._done: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._asked: dict[str, float] = {}

    def hire(self) -> None:
        """One more thread."""
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                question = self.todo.get_nowait()
            except queue.Empty:
                return
            key = question["keys"][0]
            now = time.monotonic()
            if now >= self.until:
                return
            self._asked[key] = now
            seconds = max(0.05, min(question["timeout"], self.until - now - 2 * GRACE))
            answer = _answer(self.tree, dict(question, timeout=seconds))
            if answer.get("why") == "timeout" and seconds < 0.9 * question["timeout"]:
                answer["detail"] = "only %.1f s were left for it" % seconds
            self._done.put((key, answer))

    def turn(self, key: str) -> dict[str, Any]:
        """What to add to an answer that did not come: whether the question was ever asked."""
        return {} if key in self._asked else {"detail": "its turn did not come"}

    def next_answers(self) -> list[tuple[str, dict[str, Any]]]:
        """The next answer, or the questions that turned out to be late."""
        try:
            key, answer = self._done.get(timeout=0.05)
        except queue.Empty:
            late = self._late()
            for _ in late:
                self.hire()
        else:
            late = []
            if key in self.waiting:
                del self.waiting[key]
                return [(key, answer)]
        for key in late:
            del self.waiting[key]
        return [(key, {"ok": False, "why": "timeout"}) for key in late]

    def _late(self) -> list[str]:
        now = time.monotonic()
        begun = list(self._asked.items())
        return [
            k for k, at in begun if k in self.waiting and now > at + self.waiting[k]["timeout"] + 3 * GRACE
        ]
