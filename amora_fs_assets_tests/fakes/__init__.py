"""Stores written on the ports alone. Each is reached by one row in `amora_fs_assets.store_table`."""
