"""Write a project, or a package with first definitions."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

from amora_fs_assets.domain.errors import InvalidRequest, shown

_HERE = Path(__file__).parent
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TOP = {
    "pyproject.toml": "pyproject.toml",
    "workspace.yaml": "workspace.yaml",
    "gitignore": ".gitignore",
    "README.md": "README.md",
    "test_features.py": "tests/test_features.py",
}


def check_module_name(name: str) -> str:
    """Return a valid name of a Python module. Raises InvalidRequest for other names."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise InvalidRequest(
            f"{shown(name)} is not a valid name of a Python package. Give lower-case letters, digits and underscores, "
            "beginning with a letter, such as shop_features."
        )
    return name


def write_project(folder: Path, name: str) -> list[Path]:
    """Write a project into a new folder, and return the files, relative to the folder.

    Raises InvalidRequest, with nothing written, for a folder that is not empty.
    """
    check_module_name(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidRequest(f"{folder} exists already. Give another name, or remove the folder.")
    given = words(name)
    files = write_package(folder / name, package=name)
    for template, target in _TOP.items():
        files.append(_write(_HERE / "top" / f"{template}.tmpl", folder / target, given))
    files.append(_write(_HERE / "top" / "definitions.py.tmpl", folder / name / "definitions.py", given))
    return sorted(file.relative_to(folder) for file in files)


def write_package(folder: Path, *, package: str) -> list[Path]:
    """Write a package of definitions; `package` is the package's full name. Existing files stay as they are."""
    given = words(package)
    files = []
    for source in sorted((_HERE / "package").rglob("*")):
        if source.is_file() and source.suffix in (".tmpl", ".csv"):
            target = folder / source.relative_to(_HERE / "package").with_suffix(
                "" if source.suffix == ".tmpl" else ".csv"
            )
            if not target.exists():
                files.append(_write(source, target, given))
    return files


def words(package: str) -> dict[str, str]:
    """The words of the templates, for a package by its full name."""
    last = package.rpartition(".")[2]
    return {
        "package": package,
        "title": last.replace("_", " ").capitalize(),
        "distribution": package.replace(".", "-").replace("_", "-"),
    }


def _write(template: Path, target: Path, words: dict[str, str]) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    text = template.read_text()
    target.write_text(Template(text).substitute(words) if template.suffix == ".tmpl" else text)
    return target
