"""The lineage graph: definitions give the edges between tables, records of runs the edges between columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.changes import KINDS, Kind
from amora_fs_assets.domain.errors import FeatureNotFound, NotFound
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import definition_hash
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import ColumnLineage

_ON_DEMAND: Kind = "on-demand feature view"


@dataclass(frozen=True, order=True)
class Node:
    """A source, feature view, feature service or training set; or one column of it."""

    kind: Kind
    name: str
    column: str | None = None  # of a service: `view:feature`, with the view's alias

    def __str__(self) -> str:
        """The node in words."""
        return f"{self.kind} {self.name}" + ("" if self.column is None else f": {self.column}")


@dataclass(frozen=True)
class Graph:
    """The nodes upstream and downstream of the roots."""

    roots: tuple[Node, ...]
    edges: frozenset[tuple[Node, Node]]  # (source, result)
    unknown: frozenset[Node]  # definitions without column lineage: no run of this definition has recorded it yet

    def above(self, node: Node) -> list[Node]:
        """The direct sources of the node."""
        return sorted(source for source, result in self.edges if result == node)

    def below(self, node: Node) -> list[Node]:
        """The direct results of the node."""
        return sorted(result for source, result in self.edges if source == node)

    def to_plain(self) -> dict[str, Any]:
        """The JSON form."""
        nodes = sorted({*self.roots, *(node for edge in self.edges for node in edge)})
        return {
            "roots": [_plain(node) for node in self.roots],
            "nodes": [_plain(node) for node in nodes],
            "edges": [{"from": _plain(source), "to": _plain(result)} for source, result in sorted(self.edges)],
            "columns_unknown": [_plain(node) for node in sorted(self.unknown)],
        }


def _plain(node: Node) -> dict[str, str]:
    named = {"kind": node.kind, "name": node.name}
    return named if node.column is None else {**named, "column": node.column}


def lineage(registry: Registry, name: str, column: str | None = None) -> Graph:
    """Everything upstream and downstream of the definitions of the name, or of one of their columns.

    With a `PastRegistry`, the lineage of a past state. Raises NotFound, FeatureNotFound.
    """
    return _Lineage(registry).around(name, column)


class _Lineage:
    """Computes one graph. Each record is read at most once, and only if needed."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._catalogue: Catalogue = registry.catalogue()
        self._columns: dict[Node, ColumnLineage | None] = {}

    def around(self, name: str, column: str | None) -> Graph:
        roots = [node for node in self._nodes if node.name == name]
        if not roots:
            raise NotFound.named(name, {node.name for node in self._nodes})
        if column is not None:
            known = {each for node in roots for each in self._columns_of(node)}
            roots = [Node(node.kind, name, column) for node in roots if column in self._columns_of(node)]
            if not roots:
                raise FeatureNotFound.named(f"{name}:{column}", {f"{name}:{each}" for each in known})
        above = set(_walk(roots, self._above))
        below = {(node, result) for result, node in _walk(roots, self._below)}
        unknown = (
            {node for node, lineage_of_columns in self._columns.items() if lineage_of_columns is None}
            if column is not None
            else set()
        )
        return Graph(tuple(roots), frozenset(above | below), frozenset(unknown))

    @cached_property
    def _nodes(self) -> list[Node]:
        return [
            Node(kind, name)
            for kind, attribute in KINDS.items()
            if kind != "entity"
            for name in getattr(self._catalogue, attribute)
        ]

    @cached_property
    def _edges(self) -> list[tuple[Node, Node]]:
        """The edges between whole definitions."""
        found: list[tuple[Node, Node]] = []
        for view in self._catalogue.feature_views.values():
            found += [(self._readable(source.name), Node("feature view", view.name)) for source in view.sources]
        for computed in self._catalogue.on_demand_feature_views.values():
            found += [
                (Node("feature view", name), Node(_ON_DEMAND, computed.name))
                for name in sorted({part.view.name for part in computed.inputs})
            ]
        for service in self._catalogue.feature_services.values():
            parts = [Node("feature view", name) for name in sorted({part.view.name for part in service.projections})]
            parts += [Node(_ON_DEMAND, part.name) for part in service.on_demand]
            found += [(part, Node("feature service", service.name)) for part in parts]
        for each in self._catalogue.training_sets.values():
            result, service = Node("training set", each.name), each.service
            read = self._view(service.name) if service.is_view else Node("feature service", service.name)
            found += [(read, result), *((self._readable(source.name), result) for source in each.sources)]
        return found

    def _view(self, name: str) -> Node:
        return Node(_ON_DEMAND if name in self._catalogue.on_demand_feature_views else "feature view", name)

    def _readable(self, name: str) -> Node:
        return Node("feature view" if name in self._catalogue.feature_views else "source", name)

    def _above(self, node: Node) -> Iterator[Node]:
        """The sources of a node: columns for a column, otherwise definitions."""
        if node.column is None:
            yield from (source for source, result in self._edges if result == node)
        elif node.kind == "feature service":
            service = self._catalogue.feature_services[node.name]
            name, _, feature = node.column.partition(":")
            yield from (Node("feature view", p.view.name, feature) for p in service.projections if p.name == name)
            yield from (Node(_ON_DEMAND, p.name, feature) for p in service.on_demand if p.name == name)
        elif node.kind == _ON_DEMAND:
            view = self._catalogue.on_demand_feature_views[node.name]
            read = (view.columns[name] for name in view.formulas[node.column].inputs)
            yield from {Node("feature view", each[0].view.name, each[1]) for each in read if isinstance(each, tuple)}
        elif computed := self._computed(node):
            yield computed
        else:
            lineage_of_columns = self._recorded_lineage(Node(node.kind, node.name)) or {}
            yield from (self._column(each.name, each.column) for each in lineage_of_columns.get(node.column, ()))

    def _computed(self, node: Node) -> Node | None:
        """The on-demand feature that a training set's column holds; None for another column."""
        if node.kind != "training set":
            return None
        parts = self._catalogue.training_sets[node.name].service.on_demand
        found = (Node(_ON_DEMAND, part.name, node.column) for part in parts if node.column in part.features)
        return next(found, None)

    def _below(self, node: Node) -> Iterator[Node]:
        """The results of a node."""
        whole = Node(node.kind, node.name)
        for result in (result for source, result in self._edges if source == whole):
            if node.column is None:
                yield result
            else:
                yield from (
                    Node(result.kind, result.name, column)
                    for column in self._columns_of(result)
                    if node in set(self._above(Node(result.kind, result.name, column)))
                )
        if node.kind in ("feature view", _ON_DEMAND) and node.column is not None:
            # The records of a training set name the views rather than the service.
            yield from self._joined(node)

    def _joined(self, node: Node) -> Iterator[Node]:
        for each in self._catalogue.training_sets.values():
            service = each.service
            if node.name in {*service.views, *(part.name for part in service.on_demand)} and not service.is_view:
                result = Node("training set", each.name)
                yield from (
                    Node(result.kind, result.name, column)
                    for column in self._columns_of(result)
                    if node in set(self._above(Node(result.kind, result.name, column)))
                )

    def _columns_of(self, node: Node) -> list[str]:
        match node.kind:
            case "source":
                return [column.name for column in self._catalogue.sources[node.name].columns]
            case "feature view":
                return [column.name for column in self._catalogue.feature_views[node.name].row_columns]
            case "feature service":
                return self._catalogue.feature_services[node.name].references
            case "on-demand feature view":
                return list(self._catalogue.on_demand_feature_views[node.name].formulas)
            case _:
                return list(self._recorded_lineage(node) or ())

    def _column(self, name: str, column: str) -> Node:
        node = self._readable(name)
        return Node(node.kind, node.name, column)

    def _recorded_lineage(self, node: Node) -> ColumnLineage | None:
        """The column lineage in the record of the newest successful run of exactly this definition."""
        if node.kind not in ("feature view", "training set"):
            return None
        if node not in self._columns:
            kind = "compute" if node.kind == "feature view" else "training_set"
            known = self._catalogue.feature_views if node.kind == "feature view" else self._catalogue.training_sets
            definition = known[node.name]
            if isinstance(definition, FeatureView) and definition.table is not None:
                return {}  # an external table: the origin of its columns is unknown
            hash_ = definition_hash(definition)
            runs = self._registry.records(node.name, kind=kind, status="succeeded")
            lineage_of_columns = (
                run.column_lineage for run in runs if run.definition_hash == hash_ and run.column_lineage
            )
            self._columns[node] = next(lineage_of_columns, None)
        return self._columns[node]


def _walk(roots: Iterable[Node], next_: Any) -> Iterator[tuple[Node, Node]]:
    """Every edge (next node, node) that is reached from the roots; each node is visited once."""
    pending, seen = list(roots), set(roots)
    while pending:
        node = pending.pop()
        for following in next_(node):
            yield following, node
            if following not in seen:
                seen.add(following)
                pending.append(following)
