"""The report of an import: what has another name, what was left out, what is to be done by hand."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Report:
    """Lines of the report, each a sentence that begins with the name of the Feast object."""

    renamed: list[str] = field(default_factory=list)
    """Names, tags and owners that this package does not accept, and what was written for them."""
    left_out: list[str] = field(default_factory=list)
    """Objects without a counterpart."""
    to_do: list[str] = field(default_factory=list)
    """Steps for a person, such as the address of the online store."""

    @property
    def sections(self) -> dict[str, list[str]]:
        """The lines by heading, without empty sections and repeated lines."""
        all_ = {"Renamed": self.renamed, "Left out": self.left_out, "To do": self.to_do}
        return {heading: list(dict.fromkeys(lines)) for heading, lines in all_.items() if lines}

    def text(self) -> str:
        """The report for a terminal."""
        parts = [
            [f"{heading} ({len(lines)}):", *(f"  - {line}" for line in lines)]
            for heading, lines in self.sections.items()
        ]
        return "\n".join(line for part in parts for line in part)

    def markdown(self, origin: str) -> str:
        """The report as a page of the project."""
        parts = [f"# Imported from Feast\n\n`amora-fs import-feast` wrote this project from {origin}.\n"]
        parts += [
            f"## {heading}\n\n" + "".join(f"- {line}\n" for line in lines) for heading, lines in self.sections.items()
        ]
        if not self.sections:
            parts.append("Everything has a counterpart, under its own name.\n")
        return "\n".join(parts)
