"""How the package is laid out: imports point downwards, and nothing outside its folder knows a study's name."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "keras_dnnts"
# From the ground up. A module may import from its own floor and from those below.
FLOORS = (
    ("errors", "ranks", "random_streams", "whole_files", "metrics", "registry", "light_imports"),
    ("config", "own_models", "own_model_checks", "study"),
    ("analysis", "datasets", "backend"),
    ("results",),
    ("running", "figures", "report", "predict", "export", "loggers"),
    ("sweeping",),
    ("library",),
    ("studies",),
    ("models", "cli", "__init__", "__main__"),
)
LEVELS = {name: level for level, names in enumerate(FLOORS) for name in names}
STUDIES = ("names", "cifar")
FILES = sorted(PACKAGE.rglob("*.py"))


def parts_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts


def imports_of(path):
    """What a module imports from the package, dotted, without the package's own name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name == "keras_dnnts" or name.startswith("keras_dnnts."):
                yield name.partition(".")[2]


def level_of(first):
    # A name of the package itself, such as its version, stands at the bottom.
    return LEVELS.get(first, 0)


def test_every_module_has_a_floor():
    assert {parts_of(path)[0] for path in FILES} == set(LEVELS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(parts_of(path)))
def test_imports_point_downwards(path):
    own = parts_of(path)
    for imported in imports_of(path):
        first, *rest = imported.split(".")
        if own == ("registry",) and first == "study":  # only for the types
            continue
        assert level_of(first) <= LEVELS[own[0]], f"{path} imports {imported}"
        if own[0] == first == "studies":
            assert own[1] == rest[0], f"{path} imports another study: {imported}"


def test_there_is_no_circle_of_packages():
    """Between folders and modules at the top, imports form no circle."""
    graph = {name: set() for name in LEVELS}
    for path in FILES:
        own = parts_of(path)[0]
        for imported in imports_of(path):
            first = imported.split(".")[0]
            if first in LEVELS and first != own and (own, first) != ("registry", "study"):
                graph[own].add(first)

    def below(name, above):
        assert name not in above, f"circle: {' -> '.join([*above, name])}"
        for other in graph[name]:
            below(other, (*above, name))

    for name in graph:
        below(name, ())


@pytest.mark.parametrize("path", [path for path in FILES if parts_of(path)[0] != "studies"], ids=lambda p: p.name)
def test_no_other_file_knows_a_study(path):
    if parts_of(path) == ("registry",):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value not in STUDIES, f"{path}:{node.lineno} names a study"


def test_no_template_knows_a_study():
    templates = [*PACKAGE.joinpath("report").rglob("*.jinja"), *PACKAGE.joinpath("report").rglob("*.js")]
    assert len(templates) >= 4
    for path in templates:
        text = path.read_text(encoding="utf-8")
        for name in STUDIES:
            assert f'"{name}"' not in text and f"'{name}'" not in text, path
