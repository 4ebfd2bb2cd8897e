"""What `run` does: passes a program through, and explains its end."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rocmdoctor.passing.child import NotStartedError
from rocmdoctor.passing.kept import Kept
from rocmdoctor.passing.relay import Ended, Relay, pass_on_apart

if TYPE_CHECKING:
    from rocmdoctor.cli.explaining import Told
    from rocmdoctor.explaining import Explainer
    from rocmdoctor.model import Snapshot

# Somebody ended the program, or read no more of it: that is no failure of its own.
_STOPPED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)


def pass_on(
    argv: Sequence[str], as_json: Path | None, report: Path | None, content: tuple[Path, ...], *, asks: bool
) -> int:
    """The verb's exit code, where the program was not ended by a signal; else it does not return."""
    reading = Reading(content)
    relay = Relay(argv, reading.keep, reading.go_on)
    try:
        ended = relay.run()
    except NotStartedError as error:
        _say(f"rocmdoctor: run: {error}\n")
        return error.code
    pass_on_apart(ended)
    if ended.signal not in _STOPPED and (ended.code or as_json is not None):
        _explain(reading, argv, ended, as_json, report, asks=asks)
    return _end_as(ended)


class Reading:
    """Reads what was printed when there is time for it. What goes wrong here never reaches the program."""

    def __init__(self, content: tuple[Path, ...]) -> None:
        self._content = content
        self._kept = Kept()
        self._explainer: Explainer | None = None
        self._wrong: Exception | None = None

    @property
    def dropped(self) -> int:
        """Bytes that came faster than they could be read."""
        return self._kept.dropped

    def keep(self, data: bytes) -> None:
        """What was printed just now."""
        if data and self._wrong is None:
            self._kept.add(data)

    def go_on(self) -> bool:
        """Reads one piece; False where there is none."""
        data = self._kept.take() if self._wrong is None else None
        if data is None:
            return False
        try:
            if self._explainer is None:
                from rocmdoctor.cli.explaining import reader

                self._explainer = reader(self._content)
            self._explainer.feed(data)
        except Exception as error:  # noqa: BLE001 - the program runs on, and its end says it
            self._wrong = error
        return self._wrong is None

    def told(self, take: Callable[[], Snapshot] | None) -> Told:
        """The diagnosis. Raises whatever went wrong."""
        from rocmdoctor.cli.explaining import reader, told

        while self.go_on():
            pass
        if self._wrong is not None:
            raise self._wrong
        if self._explainer is None:
            self._explainer = reader(self._content)
        return told(self._explainer, take=take, content=self._content, sure=True)


def _explain(
    reading: Reading,
    argv: Sequence[str],
    ended: Ended,
    as_json: Path | None,
    report: Path | None,
    *,
    asks: bool,
) -> None:
    try:
        found = reading.told(_take if asks and ended.code else None)
        if as_json is not None:
            _write(as_json, _envelope(found, argv, ended, reading.dropped))
        if ended.code:
            _report(found, argv, ended, reading.dropped, report)
    except KeyboardInterrupt:
        return
    except Exception as error:  # noqa: BLE001 - the program's end counts more than ours
        _say(f"rocmdoctor: run: no diagnosis: {type(error).__name__}: {error}\n")


def _take() -> Snapshot:
    from rocmdoctor.cli.asking import patient, take

    with patient() as progress:
        return take("/", 1.0, progress)


def _report(found: Told, argv: Sequence[str], ended: Ended, dropped: int, report: Path | None) -> None:
    from rocmdoctor.cli.terminal import style

    width, paint = style(no_color=report is not None or not _is_terminal(), stream=sys.stderr)
    text = f"\nrocmdoctor: {_how(argv, ended)}\n{_missed(dropped)}{found.text(paint, width)}\n"
    if report is None:
        _say(text)
    else:
        _write(report, text)


def _is_terminal() -> bool:
    try:
        return os.isatty(2)
    except OSError:
        return False


def _how(argv: Sequence[str], ended: Ended) -> str:
    if ended.signal:
        return f"{argv[0]} was ended by {signal.Signals(ended.signal).name}"
    return f"{argv[0]} ended with {ended.code}"


def _missed(dropped: int) -> str:
    if not dropped:
        return ""
    return f"{dropped / 1e6:.0f} MB in the middle came faster than they could be read, and are not part of this.\n"


def _envelope(found: Told, argv: Sequence[str], ended: Ended, dropped: int) -> str:
    from rocmdoctor.reports.envelope import envelope

    data = {
        **found.data(),
        "argv": list(argv),
        "ended": {"code": ended.code, "signal": ended.signal or None},
        "unread_bytes": dropped,
    }
    return envelope("run", "findings" if ended.code else "ok", ended.code, data) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        _say(f"rocmdoctor: run: {path} cannot be written: {error.strerror}\n")


def _say(text: str) -> None:
    """To standard error, which may be closed."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass


def _end_as(ended: Ended) -> int:
    """Ends by the signal that ended the program, so that a shell sees no difference; else with its code."""
    if not ended.signal:
        return ended.code
    # The program has left its own core file where it wanted to.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    signal.signal(ended.signal, signal.SIG_DFL) if ended.signal not in (
        signal.SIGKILL,
        signal.SIGSTOP,
    ) else None
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {ended.signal})
    os.kill(os.getpid(), ended.signal)
    return ended.code
