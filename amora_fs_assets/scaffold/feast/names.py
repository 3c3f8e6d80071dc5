"""Names, tags and owners of Feast in the form that this package accepts."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Mapping

from amora_fs_assets.domain import arguments
from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.names import RESERVED_COLUMNS, check_column, check_name
from amora_fs_assets.scaffold.feast.report import Report

_ADDRESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,7}")
LONGEST = 128
"""The longest name [letters]."""
OWN_NAMES = frozenset(
    {"annotated", "data", "definitions", "defs", "dt", "entities", "services", "sources", "timedelta", "types"}
)
"""Names that the modules of an imported project use."""
OWN_CLASSES = frozenset(
    {"Annotated", "FeatureSchema", "FeatureView", "Field", "Source", "SourceSchema", "Timestamp", "UUID"}
)


class Names:
    """Gives each Feast name of a kind its own name, the same at each call, and notes those that change."""

    def __init__(
        self,
        kind: str,
        report: Report,
        known: Iterable[str],
        others: Iterable[str] = (),
        *,
        suffix: str = "",
        short: Callable[[str], str] = str,
    ) -> None:
        """Give names of a kind.

        Args:
            kind: The word for the report, such as "feature view".
            report: Takes the changes.
            known: All Feast names of the kind. The valid ones are kept, so that no other object gets such a name.
            others: Names of other kinds that cannot be given.
            suffix: The end of a name that would be one of the `others`.
            short: Shortens a name before it is mended.

        """
        self._kind = kind
        self._report = report
        self._others = frozenset(others)
        self._suffix = suffix
        self._short = short
        self._kept = {name for name in known if snake(short(name)) == name}
        self._given: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        """The name in this package."""
        if name not in self._given:
            mended = snake(self._short(name))
            if mended in self._others:
                mended = snake(f"{mended[: LONGEST - len(self._suffix) - 1]}_{self._suffix}")
            given = unique(mended, {*self._others, *self._given.values(), *(self._kept - {name})})
            self._given[name] = given
            if given != name:
                self._report.renamed.append(f"{self._kind} `{name}` is `{given}`.")
        return self._given[name]

    @property
    def given(self) -> frozenset[str]:
        """All names that were given."""
        return frozenset(self._given.values())


def snake(name: str) -> str:
    """The name in lower-case snake case, which begins with a letter; unchanged if it is valid."""
    return _mended(name, check_name, lambda given: re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", given).lower())


def column(name: str) -> str:
    """A valid name of a column; unchanged if it is valid."""
    return _mended(name, check_column, str)


def columns(names: Iterable[str], keys: Iterable[str], what: str, report: Report) -> dict[str, str]:
    """The column of each Feast name: a valid name itself, of names that differ only in case the first one.

    `keys` are join keys: their names also stand in requests.
    """
    found: dict[str, str] = {}
    mended = {name: column(name) for name in names}
    mended = {name: f"{new}_value" if new.lower() in RESERVED_COLUMNS else new for name, new in mended.items()}
    kept = {new.lower(): name for name, new in reversed(mended.items()) if new == name}
    for name, new in mended.items():
        found[name] = name if kept.get(new.lower()) == name else unique(new, {*found.values(), *kept})
        if found[name] != name:
            kind = "join key" if name in set(keys) else "feature"
            report.renamed.append(f"{what}: {kind} `{name}` is `{found[name]}`.")
    return found


def variable(name: str, suffix: str, taken: Iterable[str] = ()) -> str:
    """A variable or module for a definition: its name, or the name and a suffix."""
    if keyword.iskeyword(name) or name in OWN_NAMES or name in taken:
        return unique(f"{name}_{suffix}", {*taken})
    return name


def unique(name: str, taken: Iterable[str]) -> str:
    """The name, or the name with the least number that makes it differ from the `taken` names. Ignores case."""
    taken = {each.lower() for each in taken}
    found, number = name, 1
    while found.lower() in taken:
        number += 1
        end = f"_{number}"
        found = f"{name[: LONGEST - len(end)]}{end}"
    return found


def owner(given: str, what: str, report: Report) -> str:
    """The owner: an e-mail address, or a team; other text becomes the name of a team."""
    owner = given.strip()
    try:
        return arguments.owner_of("", owner)
    except DefinitionError:
        address = _ADDRESS.search(owner)  # of "Jane Doe <jane@example.com>"
        mended = address[0] if address else f"team:{owner}"
        report.renamed.append(f"{what}: owner `{owner}` is neither an e-mail address nor a team: it is `{mended}`.")
        return mended


def tags(given: Mapping[str, str], what: str, report: Report) -> dict[str, str]:
    """The tags by Dagster's rules."""
    found: dict[str, str] = {}
    for name, value in given.items():
        try:
            arguments.tags_of("", {name: value})
            new_name, new_value = name, value
        except DefinitionError:
            new_name = _part(name.replace("/", ".") if name.count("/") != 1 else name, keep="/") or "tag"
            new_name = re.sub(r"^dagster/", "dagster_", new_name)
            new_value = _part(value)
            report.renamed.append(f"{what}: tag `{name}: {value}` is `{new_name}: {new_value}`.")
        found[unique(new_name, found)] = new_value
    return found


def _part(text: str, keep: str = "") -> str:
    """Each part of a tag, in the letters that Dagster takes."""
    parts = text.split(keep) if keep else [text]
    return "/".join(re.sub(r"[^A-Za-z0-9_.-]+", "_", part)[:63] for part in parts if part or not keep)


def _mended(name: str, check: Callable[[str, object], None], case: Callable[[str], str]) -> str:
    try:
        check("", name)
    except DefinitionError:
        found = re.sub(r"[^A-Za-z0-9]+", "_", case(name)).strip("_")[: LONGEST - 2]
        return found if found[:1].isalpha() else f"x_{found}".rstrip("_")  # a letter comes first
    return name
