"""The rooms are imported from this checkout and nowhere else: their names are common ones."""

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("schemas", "producers", "streams", "projections", "api", "edge_agents", "ops")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_imported_from_here(room):
    found = Path(importlib.import_module(room).__file__)
    assert found.parent == ROOT / room


def test_the_wheel_holds_every_package_of_the_rooms_and_no_test():
    setuptools = PYPROJECT["tool"]["setuptools"]
    elsewhere = {name: folder.replace("/", ".") for name, folder in setuptools["package-dir"].items()}
    listed = {elsewhere.get(name, name) for name in setuptools["packages"]}
    there = {
        ".".join(file.parent.relative_to(ROOT).parts) for room in ROOMS for file in (ROOT / room).rglob("__init__.py")
    }
    assert listed == there
    assert not any(name.split(".")[0] in ("tests", "docker") for name in listed)


def test_docker_is_no_package():
    """A package of that name would hide the docker library."""
    assert not (ROOT / "docker" / "__init__.py").exists()


def test_the_top_level_is_the_rooms_and_what_goes_with_them():
    expected = {*ROOMS, "docker", "tests", "docs"}
    there = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert {name for name in there if not name.endswith(".egg-info") and name not in ("build", "dist")} == expected


def reads_environment(text: str) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("environ", "environb", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        for node in ast.walk(ast.parse(text))
    )


def test_only_settings_modules_read_the_environment():
    readers = {
        str(file.relative_to(ROOT))
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        if file.name != "settings.py" and reads_environment(file.read_text("utf-8"))
    }
    assert readers == set()
    assert reads_environment("import os\nos.environ['HOME']")


def test_the_recorders_requirements_are_its_extra():
    """The recorder's own installation says `pip install -r requirements.txt`, as the system it replaces did."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    project = PYPROJECT["project"]
    assert {line for line in lines if line and not line.startswith("#")} == {
        *project["dependencies"],
        *project["optional-dependencies"]["recorder"],
    }
