"""The tests: they mirror the rooms of `amora_fs_assets`."""
