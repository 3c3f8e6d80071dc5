"""A Feast repository with what an import has to mend. The tests copy it; it is read by Feast's own interpreter."""
