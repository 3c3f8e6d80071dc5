"""Lineage for people: trees of inputs and dependents."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.markup import escape
from rich.tree import Tree

from amora_fs_assets.operations.registry.lineage_graph import Graph, Node


def trees(graph: Graph) -> Iterator[Tree]:
    """For each root its inputs and dependents; then the definitions whose columns are not known yet."""
    for root in graph.roots:
        tree = Tree(f"[bold]{escape(str(root))}[/bold]")
        for title, next_ in (("is made of", graph.above), ("is read by", graph.below)):
            if next_(root):
                _grow(tree.add(f"[dim]{title}[/dim]"), root, next_)
        yield tree
    if graph.unknown:
        tree = Tree("[yellow]Columns not known: no run of the applied definition yet[/yellow]")
        for node in sorted(graph.unknown):
            tree.add(escape(str(node)))
        yield tree


def _grow(tree: Tree, node: Node, next_: Callable[[Node], list[Node]]) -> None:
    for each in next_(node):
        _grow(tree.add(escape(str(each))), each, next_)
