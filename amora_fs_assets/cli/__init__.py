"""The command `amora-fs`: one module for each group of commands."""
