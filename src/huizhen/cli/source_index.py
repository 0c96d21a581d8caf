"""Where the package's modules define, call and assign what, by syntax tree: read, never run."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

__all__ = ["Function", "Place", "SourceIndex", "parse_package"]

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef

BINDING = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr, ast.For, ast.comprehension, ast.Call)
"""What `_bound` looks at."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Function:
    """A function or method of `module`, in the class `owner` if it is one's method."""

    module: str
    node: AnyFunction
    owner: str
    outer: Function | None

    @property
    def parameters(self) -> list[str]:
        """Return the names of its parameters, self left out."""
        given = self.node.args
        names = [one.arg for one in (*given.posonlyargs, *given.args)]
        bound = self.owner and names and names[0] in ("self", "cls")
        return names[1 if bound else 0 :] + [one.arg for one in given.kwonlyargs]

    def default(self, name: str) -> ast.expr | None:
        """Return the default of a parameter."""
        given = self.node.args
        named = [one.arg for one in (*given.posonlyargs, *given.args)]
        defaults = dict(zip(reversed(named), reversed(given.defaults), strict=False))
        only = zip((one.arg for one in given.kwonlyargs), given.kw_defaults, strict=True)
        return defaults.get(name) or dict(only).get(name)

    def argument(self, name: str, call: ast.Call) -> ast.expr | None:
        """Return what `call` gives for a parameter."""
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value
        position = self.parameters.index(name)
        before = call.args[: position + 1]
        if len(before) <= position or any(isinstance(one, ast.Starred) for one in before):
            return None
        return before[position]

    def assigned(self, name: str) -> Iterator[ast.expr]:
        """Yield what is assigned to a local name, looped over for it, or added to it."""
        for node in self._binding:
            yield from _bound(node, name)

    @cached_property
    def _binding(self) -> list[ast.AST]:
        """The function's own nodes that bind names or add to lists."""
        return [node for node in _own_nodes(self.node) if isinstance(node, BINDING)]

    def results(self) -> Iterator[ast.expr]:
        """Yield what the function returns or yields."""
        for node in _own_nodes(self.node):
            if isinstance(node, ast.Return | ast.Yield) and node.value is not None:
                yield node.value


class Place(NamedTuple):
    """Where an expression stands: its module, and the innermost function around it."""

    module: str
    function: Function | None


def _own_nodes(function: AnyFunction) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, AnyFunction | ast.ClassDef):
            waiting[:0] = list(ast.iter_child_nodes(node))


def _bound(node: ast.AST, name: str) -> Iterator[ast.expr]:
    """Yield what a statement binds to `name` or adds to the list of that name."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _unpacked(target, value, name)
        case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
            yield value
        case ast.AugAssign(target=ast.Name(id=target), value=value) if target == name:
            yield value
        case ast.NamedExpr(target=ast.Name(id=target), value=value) if target == name:
            yield value
        case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
            items = value.elts if isinstance(value, ast.Tuple | ast.List) else [value]
            for item in items:
                yield from _unpacked(target, item, name)
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=target), attr="append" | "extend"), args=[value]
        ) if target == name:
            yield value


def _unpacked(target: ast.expr, value: ast.expr, name: str) -> Iterator[ast.expr]:
    """Yield what `target = value` gives `name`; of what can't be taken apart, the whole."""
    if isinstance(target, ast.Name):
        if target.id == name:
            yield value
    elif isinstance(target, ast.Tuple):
        if isinstance(value, ast.IfExp):
            yield from [*_unpacked(target, value.body, name), *_unpacked(target, value.orelse, name)]
            return
        paired = isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts)
        for place, part in enumerate(target.elts):
            yield from _unpacked(part, value.elts[place] if paired else value, name)  # type: ignore[attr-defined]  # a tuple, when paired


@dataclass(slots=True, kw_only=True)
class SourceIndex:
    """The modules' functions, calls and constants by name."""

    trees: Mapping[str, ast.Module]
    all_calls: list[tuple[ast.Call, Place]] = field(default_factory=list)
    _functions: dict[str, list[Function]] = field(default_factory=lambda: defaultdict(list))
    _calls: dict[str, list[tuple[ast.Call, Place]]] = field(default_factory=lambda: defaultdict(list))
    _constants: dict[str, list[tuple[str, ast.expr]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for module, tree in self.trees.items():
            self._read(tree, Place(module, None), "")
            for node in tree.body:
                for name, value in _constants_of(node):
                    self._constants[name].append((module, value))

    def _read(self, node: ast.AST, place: Place, owner: str) -> None:
        """Note the functions and calls below a node."""
        for child in ast.iter_child_nodes(node):
            inner, inside = place, owner
            if isinstance(child, AnyFunction):
                function = Function(module=place.module, node=child, owner=owner, outer=place.function)
                self._functions[child.name if child.name != "__init__" else owner].append(function)
                inner, inside = Place(place.module, function), ""
            elif isinstance(child, ast.ClassDef):
                inside = child.name
            elif isinstance(child, ast.Call):
                self.all_calls.append((child, place))
                self._calls[called_name(child)].append((child, place))
            self._read(child, inner, inside)

    def functions(self, name: str, module: str) -> list[Function]:
        """Return the functions that a name in `module` may mean: its own, else the package's only one."""
        found = self._functions.get(name, [])
        own = [function for function in found if function.module == module]
        return own or (found if len(found) == 1 and not name.startswith("_") else [])

    def methods(self, name: str) -> list[Function]:
        """Return every method of that name."""
        return [function for function in self._functions.get(name, []) if function.owner]

    def calls(self, function: Function) -> list[tuple[ast.Call, Place]]:
        """Return the calls that may call a function."""
        name = function.node.name if function.node.name != "__init__" else function.owner
        found = self._calls.get(name, [])
        return [(call, place) for call, place in found if function in self.functions(name, place.module)]

    def constants(self, name: str, module: str) -> list[tuple[str, ast.expr]]:
        """Return what a module's constant may be: its own, else the package's only one of that name."""
        found = self._constants.get(name, [])
        own = [each for each in found if each[0] == module]
        return own or (found if len(found) == 1 else [])


def called_name(call: ast.Call) -> str:
    """Return the last name of what is called: `f` of f(), self.f() and module.f().

    >>> called_name(ast.parse("a.f(1)", mode="eval").body)
    'f'
    """
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _constants_of(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Yield the constants that a module's statement defines."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value


def parse_package(folder: Path, name: str) -> dict[str, ast.Module]:
    """Return the syntax tree of each module below a package's folder, by dotted name."""
    trees: dict[str, ast.Module] = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        dotted = ".".join((name, *parts)).removesuffix(".__init__")
        trees[dotted] = ast.parse(path.read_text(encoding="utf-8"))
    return trees
