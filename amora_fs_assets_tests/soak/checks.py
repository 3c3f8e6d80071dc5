"""What is read of a store, compared with the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from amora_fs_assets_tests.soak.journal import Journal, Party, brief
from amora_fs_assets_tests.soak.world import FILLED, FILLED_OF, View, filled_of


class Checks(Journal):
    """The reads of a history. Each raises WrongError if the store gives another value than the model."""

    def check_training_set(self, party: Party, version: str) -> None:
        """A version gives the rows that it was built of, however long ago."""
        self.note("check_training_set", version=version)
        right = self.model.training_sets[version]
        self._compare_rows(f"training set {version}", right, self.done(party.ask("load_training_set", version=version)))

    def check_table(self, party: Party, name: str, start: datetime, end: datetime) -> None:
        """Every row of a view's interval is there, and no other."""
        self.note("check_table", view=name, start=start, end=end)
        view = self.model.views[name]
        right = [
            dict(zip(view.keys, row.key, strict=True))
            | {"event_timestamp": row.at}
            | {feature: row.values.get(feature) for feature in view.all_features}
            for row in self.model.tables.get(name, [])
            if start <= row.at < end
        ]
        columns = (*view.keys, "event_timestamp", *view.all_features)
        got = self.done(party.ask("table", view=name, start=start, end=end))
        got = [{column: row[column] for column in columns} for row in got]
        self._compare_rows(f"table of {name}", right, got)

    def _compare_rows(self, what: str, right: Sequence[Mapping[str, Any]], got: Sequence[Mapping[str, Any]]) -> None:
        self.counts.values += sum(map(len, got))
        missing, extra = list(map(_plain, right)), []
        for row in map(_plain, got):
            try:
                missing.remove(row)
            except ValueError:
                extra.append(row)
        if missing or extra:
            raise self.wrong(
                f"{what}: of {len(right)} rows {len(missing)} are missing, such as {missing[:2]}; "
                f"{len(extra)} are wrong, such as {extra[:2]}."
            )

    def check_historical(
        self, party: Party, names: Sequence[str], spine: Sequence[Mapping[str, Any]], *, known_time: bool
    ) -> None:
        """A point-in-time join gives each spine row the features that held then."""
        self.note("check_historical", views=list(names), rows=len(spine), known_time=known_time)
        columns = {name: [row[name] for row in spine] for name in spine[0]}
        features = [each for each in features_of(self.model.views) if each.partition(":")[0] in names]
        filled = [name for name, view in FILLED_OF.items() if view in names]
        if all(view in self.model.tables for view in FILLED_OF.values()):
            features += [f"{FILLED}:filled_{name}" for name in filled]
        else:
            filled = []
        got = self.done(party.ask("historical", features=features, spine=columns, known_time=known_time))
        if len(got) != len(spine):
            raise self.wrong(f"historical: {len(got)} rows for a spine of {len(spine)}.")
        for moment, row in zip(spine, got, strict=True):
            right = dict(self.model.joined(moment, names, known_time=known_time))
            for name in filled:
                right[f"{FILLED}__filled_{name}"] = filled_of(right[f"{FILLED_OF[name]}__{name}"])
            for name, value in right.items():
                self.counts.values += 1
                if not _equal(row[name], value):
                    where = f"{name} at {brief(moment)}, known_time={known_time}"
                    raise self.wrong(f"historical: {where}, is {row[name]!r}, right: {value!r}")

    def check_online(
        self,
        read: Callable[[Sequence[str], Mapping[str, Sequence[Any]]], Mapping[str, Any]],
        entities: Mapping[str, Sequence[Any]],
        features: Sequence[str],
        who: str,
    ) -> None:
        """Every value and status that is served is right. `read` gives values and statuses by full feature name."""
        self.note("check_online", who=who)
        filled = [name for name, view in FILLED_OF.items() if f"{view}:{name}" in features]
        got = read([*features, *(f"{FILLED}:filled_{name}" for name in filled)], entities)
        self._check_filled(filled, got, entities, who)
        for reference in features:
            name, _, feature = reference.partition(":")
            view, column = self.model.views[name], f"{name}__{feature}"
            values, statuses = got["values"][column], got["statuses"][column]
            for place, value in enumerate(values):
                key = tuple(entities[each][place] for each in view.keys)
                allowed = self.model.online_answers(name, key, self.now)[feature]
                self.counts.values += 1
                if not any(statuses[place] == s and _equal(value, v) for s, v in allowed):
                    raise self.wrong(
                        f"online ({who}): {column} of {dict(zip(view.keys, key, strict=True))} is "
                        f"{value!r} {statuses[place]}, right: {sorted(map(str, allowed))}"
                    )

    def _check_filled(
        self, names: Sequence[str], got: Mapping[str, Any], entities: Mapping[str, Sequence[Any]], who: str
    ) -> None:
        """The on-demand features are filled values of what is served."""
        for name in names:
            of = FILLED_OF[name]
            values, statuses = (got[part][f"{FILLED}__filled_{name}"] for part in ("values", "statuses"))
            for place, value in enumerate(values):
                key = tuple(entities[each][place] for each in self.model.views[of].keys)
                allowed = {filled_of(v) for _, v in self.model.online_answers(of, key, self.now)[name]}
                self.counts.values += 1
                if statuses[place] != "PRESENT" or value not in allowed:
                    what = f"{FILLED}:filled_{name} of {key} is {value!r} {statuses[place]}"
                    raise self.wrong(f"online ({who}): {what}, right: {allowed}")

    def check_parity(self, party: Party, name: str) -> None:
        """The store finds no fault with itself."""
        self.note("check_parity", view=name)
        found = self.done(party.ask("parity", view=name))
        self.counts.values += found["sampled"]
        if not found["passed"]:
            raise self.wrong(f"parity of {name} sees faults where there are none: {found}")


def features_of(views: Mapping[str, View]) -> list[str]:
    """All features, as `view:feature`."""
    return [f"{view.name}:{feature}" for view in views.values() for feature in view.all_features]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and one != one and other != other:
        return True
    return bool(one == other) and (type(one) is type(other) or {type(one), type(other)} <= {int, float})


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
