"""The files of a new project, for `amora-fs init`, `amora-fs new` and the component's scaffolder."""
