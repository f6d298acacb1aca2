"""The floors of the house: a module imports from its own package or from below, never up."""

import ast
from pathlib import Path

import pytest
from floors import PACKAGES, VIDEO

import vqe_fast

ROOT = Path(vqe_fast.__file__).parent


def imports(package):
    """(module, what it imports), both by name within the package; those of type checking too."""
    folder = ROOT.joinpath(*package.split(".")[1:])
    prefix = f"{package}."
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(folder).with_suffix("").parts)
        if name == "__init__":
            continue  # the package's own names: of every floor
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found = [f"{node.module}.{each.name}" for each in node.names]
            elif isinstance(node, ast.Import):
                found = [each.name for each in node.names]
            else:
                continue
            for each in found:
                if each.startswith(prefix):
                    yield name, each.removeprefix(prefix)


@pytest.mark.parametrize(
    ("package", "floors"),
    [("vqe_fast", PACKAGES), ("vqe_fast.video", VIDEO)],
    ids=["vqe_fast", "video"],
)
def test_nothing_imports_upwards(package, floors):
    height = {room: number for number, floor in enumerate(floors) for room in floor}
    upward = []
    for module, imported in imports(package):
        here, there = module.partition(".")[0], imported.partition(".")[0]
        if there in height and here != there and height[there] >= height[here]:
            upward.append(f"{module} → {imported}")
    assert not upward


def test_every_room_has_a_floor():
    for package, floors in (("vqe_fast", PACKAGES), ("vqe_fast.video", VIDEO)):
        folder = ROOT.joinpath(*package.split(".")[1:])
        rooms = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
        rooms = {room for room in rooms if room not in ("__init__", "__pycache__")}
        assert rooms == set().union(*floors)


def test_pictures_show_what_there_is(tmp_path, monkeypatch):
    """Every room, and no name that the code does not have."""
    pytest.importorskip("matplotlib", reason="matplotlib draws: pip install 'vqe_fast[demo]'")
    import plot_architecture

    monkeypatch.setattr(plot_architecture, "TARGET", tmp_path)
    plot_architecture.draw_floors()
    plot_architecture.draw_frame()
    assert plot_architecture.ROOMS.keys() == set().union(*PACKAGES, *VIDEO)


def test_no_circle_of_modules():
    graph = {}
    for module, imported in imports("vqe_fast"):
        graph.setdefault(module, set()).add(imported)
    files = (path.relative_to(ROOT).with_suffix("").parts for path in ROOT.rglob("*.py"))
    known = {".".join(parts).removesuffix(".__init__") for parts in files}

    def module_of(name):
        while name and name not in known:
            name = name.rpartition(".")[0]
        return name

    edges = {
        module.removesuffix(".__init__"): {module_of(each) for each in imported} - {"", module}
        for module, imported in graph.items()
    }
    done, path = set(), []

    def visit(module):
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module not in done:
            path.append(module)
            for each in edges.get(module, ()):
                visit(each)
            done.add(path.pop())

    for module in edges:
        visit(module)
