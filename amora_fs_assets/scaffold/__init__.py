"""Files for a project of one's own: `amora-fs init`, `amora-fs new`, and the component's scaffolder."""
