"""What pip says that it would install, held against what must stay: what it would replace, and who asks for that. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement

from rocmdoctor import protection
from rocmdoctor.facts.distributions import normalized
from rocmdoctor.facts.requirements import holds
from rocmdoctor.frozen import frozen


class BadReportError(Exception):
    """What pip printed is no report."""


@frozen
class Item:
    """A distribution that would be installed. `url` is "" for one that comes from an index, `editable` is pip's -e."""

    name: str
    version: str
    requested: bool
    extras: tuple[str, ...]
    url: str
    requires: tuple[str, ...]
    editable: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def exactly(self) -> tuple[str, ...]:
        """The words that name this one file and no other."""
        if self.editable:
            return ("-e", self.url)
        return (f"{self.name} @ {self.url}" if self.url else f"{self.name}=={self.version}",)


@frozen
class Report:
    """All that would be installed, and the markers' environment that pip found."""

    items: tuple[Item, ...]
    around: Mapping[str, str]

    def get(self, name: str) -> Item | None:
        """The one of that name, None where it would not be installed."""
        return next((item for item in self.items if item.name == name), None)


@frozen
class Damage:
    """A distribution that would come in the place of `before`, None where nothing is replaced.

    `chain` begins with what was asked for and ends with what asks for it, by `text`; empty where it was itself asked for.
    """

    item: Item
    before: str | None
    chain: tuple[Item, ...]
    text: str
    why: str = ""

    def __str__(self) -> str:
        came = f"{self.item.name} {self.before} -> {self.item.version}" if self.before else str(self.item)
        if not self.chain:
            return f"{came}: it was asked for by name"
        last, first = self.chain[-1], self.chain[0]
        by = f" (brought by {first})" if first is not last else ""
        return f"{came}: {last}{by} asks for {self.text}"


def read(text: str) -> Report:
    """A report of pip's in what it printed: lines may stand before it. Raises BadReportError.

    Source: pip's documentation, "Installation report", version 1.
    """
    start = next((n for n in range(len(text)) if text[n] == "{" and (n == 0 or text[n - 1] == "\n")), -1)
    try:
        said = json.JSONDecoder().raw_decode(text, start)[0] if start >= 0 else None
        items = tuple(_item(row) for row in said["install"]) if said else None
        around = {k: v for k, v in said["environment"].items() if isinstance(v, str)} if said else {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadReportError(f"pip's report cannot be read: {error}") from None
    if items is None:
        raise BadReportError("pip printed no report")
    return Report(items, around)


def _item(row: Mapping[str, object]) -> Item:
    about, info = row["metadata"], row["download_info"]
    if not isinstance(about, dict) or not isinstance(info, dict):
        raise TypeError("metadata")
    extras, requires = row.get("requested_extras") or (), about.get("requires_dist") or ()
    return Item(
        name=normalized(str(about["name"])),
        version=str(about["version"]),
        requested=bool(row.get("requested")),
        extras=tuple(map(str, extras)) if isinstance(extras, list | tuple) else (),
        url=str(info["url"]) if row.get("is_direct") else "",
        requires=tuple(map(str, requires)) if isinstance(requires, list | tuple) else (),
        editable=bool((info.get("dir_info") or {}).get("editable")),
    )


# ---------------------------------------------------------------- who asks for what


def _wishes(item: Item, extras: Collection[str], around: Mapping[str, str]) -> Iterator[Requirement]:
    """What an item asks for here."""
    for text in item.requires:
        try:
            wish = Requirement(text)
            applies = wish.marker is None or any(
                wish.marker.evaluate({**around, "extra": extra}) for extra in ("", *extras)
            )
        except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName, ValueError):
            continue
        if applies:
            yield wish


def _reached(report: Report, without: Collection[str] = ()) -> dict[str, tuple[Item, ...]]:
    """What is asked for, directly or not, by name, with the chain of those that lead to it; `without` are not entered."""
    found: dict[str, tuple[Item, ...]] = {
        item.name: () for item in report.items if item.requested and item.name not in without
    }
    extras = {item.name: set(item.extras) for item in report.items}
    todo = list(found)
    for name in todo:
        item = report.get(name)
        if item is None:
            continue
        for wish in _wishes(item, extras[name], report.around):
            other = normalized(wish.name)
            new = set(wish.extras) - extras.get(other, set())
            if other in without or (other in found and not new):
                continue
            extras.setdefault(other, set()).update(new)
            found.setdefault(other, (*found[name], item))
            todo.append(other)
    return found


def damages(report: Report, kept: Mapping[str, str], out: Mapping[str, str]) -> tuple[Damage, ...]:
    """What would replace or stand beside what must stay. `kept`: name to version; `out`: name to why it is kept out."""
    chains = _reached(report)
    found = []
    for item in report.items:
        if item.name not in kept and item.name not in out:
            continue
        before = kept.get(item.name)
        chain = chains.get(item.name, ())
        found.append(Damage(item, before, *_asked(report, item, before, chain), why=out.get(item.name, "")))
    return tuple(found)


def _asked(
    report: Report, item: Item, before: str | None, chain: tuple[Item, ...]
) -> tuple[tuple[Item, ...], str]:
    """Who asks for an item, and in which words: whoever does not take the one that stands there goes first."""
    if item.requested:
        return (), ""
    asking = [
        (other, wish)
        for other in report.items
        for wish in _wishes(other, other.extras, report.around)
        if normalized(wish.name) == item.name
    ]
    forcing = [
        (other, wish) for other, wish in asking if before and holds(str(wish.specifier), before) is False
    ]
    for other, wish in (*forcing, *asking):
        above = _reached(report).get(other.name, ())
        return (*above, other), str(wish).partition(";")[0].strip()
    return chain, item.name


def forced(
    report: Report, items: Collection[Item], kept: Mapping[str, str], found: Collection[Damage]
) -> tuple[Damage, ...]:
    """Those of the damages without which these items cannot do: what stands there is not what one of them asks for."""
    stuck = []
    for damage in found:
        wanted = damage.item.name
        for item in items:
            wishes = [w for w in _wishes(item, item.extras, report.around) if normalized(w.name) == wanted]
            if damage.before is not None and any(
                holds(str(w.specifier), kept[wanted]) is False for w in wishes
            ):
                text = str(wishes[0]).partition(";")[0].strip()
                above = _reached(report).get(item.name, ())
                stuck.append(replace(damage, chain=(*above, item), text=text))
                break
    return tuple(stuck)


def without(report: Report, out: Collection[str]) -> tuple[Item, ...]:
    """What is left to install where these are left out, with what only they ask for."""
    reached = _reached(report, out)
    return tuple(item for item in report.items if item.name in reached)


def out_of_bounds(report: Report, bounds: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Name to why of what would come in a version that is not for these GPUs."""
    found = {}
    for item in report.items:
        specifier, why = bounds.get(item.name, ("", ""))
        if specifier and holds(specifier, item.version) is False:
            found[item.name] = why
    return found


def touched(text: str, patterns: Collection[str], named: Collection[str]) -> tuple[Damage, ...]:
    """What a report would change of these patterns, but for what is `named`. Raises BadReportError."""
    report = read(text)
    hit = {
        i.name: "" for i in report.items if protection.matches(i.name, list(patterns)) and i.name not in named
    }
    return damages(report, {}, hit)
