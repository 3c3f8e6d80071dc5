"""The definitions of a Feast repository as a project of this package, for `amora-fs import-feast`."""
