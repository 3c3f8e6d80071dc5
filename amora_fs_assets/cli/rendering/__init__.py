"""Reports as text for people and as Markdown: plans, histories, lineage."""
