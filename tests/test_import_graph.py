"""Which package imports which: no two import each other, and the lowest ones import none above them."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {'utils': {'errors', 'schema', 'registry'}, 'structures': {'errors', 'schema', 'utils', 'registry'}}
"""What the packages at the bottom may import, beside themselves."""


def part_of(module: str) -> str | None:
    """The package (or the single module) directly below mmleuk; None for other packages and for mmleuk itself."""
    head, _, rest = module.partition('.')
    return rest.partition('.')[0] or None if head == 'mmleuk' else None


def imports(path: Path, root: Path) -> set[str]:
    """Full names of the modules that a file imports, at its top, inside functions and for type checks alike."""
    package = list(path.relative_to(root).with_suffix('').parts)[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            module = '.'.join([*base, *([node.module] if node.module else [])])
            # "from mmleuk import apis" imports a module, "from mmleuk.apis import infer" a function
            found |= {f'{module}.{alias.name}' for alias in node.names} if module == 'mmleuk' else {module}
    return found


def import_graph(root: Path) -> dict[str, dict[str, set[str]]]:
    """Part -> parts that it imports -> files that do so, of the package ``root/mmleuk``."""
    graph: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in sorted((root / 'mmleuk').rglob('*.py')):
        own = path.relative_to(root / 'mmleuk').with_suffix('').parts[0]
        for module in imports(path, root):
            other = part_of(module)
            if other not in (None, own) and own != '__init__':
                graph[own][other].add(str(path.relative_to(root)))
    return graph


def cycles(graph: dict[str, dict[str, set[str]]]) -> list[tuple[str, ...]]:
    """Groups of parts that import each other, directly or around several corners, each group sorted."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        todo, seen = list(graph[start]), set()
        while todo:
            part = todo.pop()
            if part not in seen:
                seen.add(part)
                todo += graph.get(part, {})
        reached[start] = seen
    groups = {tuple(sorted(other for other in reached if other in reached[part] and part in reached[other]))
              for part in reached if part in reached[part]}
    return sorted(groups)


GRAPH = import_graph(ROOT)


def test_no_two_packages_import_each_other():
    assert len(GRAPH) > 10
    pairs = {(one, other): sorted(GRAPH[one][other] | GRAPH[other][one])
             for one in GRAPH for other in GRAPH[one] if one < other and one in GRAPH.get(other, {})}
    assert not pairs


def test_no_packages_import_each_other_in_a_circle():
    assert cycles(GRAPH) == []


@pytest.mark.parametrize('part', ALLOWED)
def test_the_lowest_packages_import_none_above_them(part):
    above = {other: sorted(files) for other, files in GRAPH[part].items() if other not in ALLOWED[part]}
    assert not above


def test_the_package_imports_neither_tests_nor_tools():
    found = {module.partition('.')[0] for path in (ROOT / 'mmleuk').rglob('*.py') for module in imports(path, ROOT)}
    assert 'mmleuk' in found and not found & {'benchmarking', 'convert_yolov5', 'tools', 'tests'}


def test_a_cycle_is_found(tmp_path):
    """Around three corners, one of them inside a function and one relative."""
    sources = {'a/__init__.py': 'from mmleuk.b import x', 'b/__init__.py': 'def f():\n    import mmleuk.c.deep',
               'c/__init__.py': '', 'c/deep.py': 'from ..a import y', 'd.py': 'from mmleuk import a\nimport os'}
    for name, text in sources.items():
        path = tmp_path / 'mmleuk' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    graph = import_graph(tmp_path)
    assert {part: set(others) for part, others in graph.items()} == {
        'a': {'b'}, 'b': {'c'}, 'c': {'a'}, 'd': {'a'}}
    assert cycles(graph) == [('a', 'b', 'c')]
