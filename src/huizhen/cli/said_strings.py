"""What a string expression of the source may say: its templates, found by reading the code, never running it.

A template is a text with `{}` for each value that only a run knows; literal braces are doubled. Names are
followed to their assignments, parameters to the calls that give them, calls to what the function returns, and
containers to what they hold. What can't be followed is `{}`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from huizhen.cli.source_index import Function, Place, SourceIndex

__all__ = ["OPEN", "Sayings", "escaped", "has_words"]

OPEN = "{}"
"""Stands for a value that only a run knows."""

DEEPEST = 6
"""How many names, parameters and calls are followed one behind the other."""

MOST = 8
"""How many texts one template with choices in it becomes; beyond, the choices are fragments of their own."""


def escaped(text: str) -> str:
    """Return a text as a template without open values.

    >>> escaped("write {a = 1}")
    'write {{a = 1}}'
    """
    return text.replace("{", "{{").replace("}", "}}")


def has_words(template: str) -> bool:
    """Tell whether a template has a word of its own, so that there is something to translate.

    >>> has_words("{}: {}"), has_words("{} is absent")
    (False, True)
    """
    return re.search(r"[A-Za-z]{2}", template.replace(OPEN, "")) is not None


@dataclass(slots=True, kw_only=True)
class Sayings:
    """Reads expressions of the modules in `index`; texts inside a template's values go to `fragments`."""

    index: SourceIndex
    fragments: dict[str, Place] = field(default_factory=dict)

    def of(self, node: ast.expr, place: Place, depth: int = 0) -> list[str]:
        """Return the templates that an expression may be, `{}` alone for what can't be followed."""
        if depth > DEEPEST:
            return [OPEN]
        found = list(dict.fromkeys(self._of(node, place, depth)))
        return found or [OPEN]

    def _of(self, node: ast.expr, place: Place, depth: int) -> Iterator[str]:
        match node:
            case ast.Constant(value=str(text)):
                yield escaped(text)
            case ast.JoinedStr(values=parts):
                yield from self._joined([self._part(part, place, depth) for part in parts], place)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                sides = [self._inside(side, place, depth) for side in (left, right)]
                yield from [OPEN] if sides == [[OPEN], [OPEN]] else self._joined(sides, place)
            case ast.IfExp(body=one, orelse=other):
                yield from [*self.of(one, place, depth), *self.of(other, place, depth)]
            case ast.BoolOp(values=choices) | ast.Tuple(elts=choices) | ast.List(elts=choices):
                for choice in choices:
                    yield from self.of(choice, place, depth)
            case ast.Dict(values=choices):
                for choice in choices:
                    yield from self.of(choice, place, depth)
            case ast.GeneratorExp(elt=inner) | ast.ListComp(elt=inner) | ast.Starred(value=inner):
                yield from self.of(inner, place, depth)
            case ast.Subscript(value=inner) | ast.NamedExpr(value=inner):
                yield from self.of(inner, place, depth)
            case ast.Name(id=name):
                yield from self._named(name, place, depth + 1)
            case ast.Call():
                yield from self._called(node, place, depth + 1)

    # --- f-strings ---------------------------------------------------------------------------------------

    def _part(self, part: ast.expr, place: Place, depth: int) -> list[str]:
        """Return what one part of an f-string may be."""
        if not isinstance(part, ast.FormattedValue):
            return self.of(part, place, depth)
        if part.conversion != -1 or part.format_spec is not None:
            return [OPEN]
        return self._inside(part.value, place, depth)

    def _inside(self, node: ast.expr, place: Place, depth: int) -> list[str]:
        """Return what a value inside a template may be: a few whole texts, else `{}` and fragments."""
        found = self.of(node, place, depth)
        if all(OPEN not in text for text in found) and len(found) <= MOST // 2:
            return found
        self._keep(found, place)
        if isinstance(node, ast.BinOp | ast.Constant | ast.JoinedStr):
            return found
        return [OPEN]

    def _joined(self, parts: list[list[str]], place: Place) -> list[str]:
        """Return every text that the parts make in turn."""
        count = 1
        for part in parts:
            count *= len(part)
        if count > MOST:
            for part in parts:
                if len(part) > 1:
                    self._keep(part, place)
            parts = [part if len(part) == 1 else [OPEN] for part in parts]
        return ["".join(choice) for choice in product(*parts)]

    def _keep(self, texts: list[str], place: Place) -> None:
        for text in texts:
            if has_words(text):
                self.fragments.setdefault(text, place)

    # --- names and calls ---------------------------------------------------------------------------------

    def _named(self, name: str, place: Place, depth: int) -> Iterator[str]:
        """Yield what a name may be: what is assigned to it, what calls give for it, a module's constant."""
        function = place.function
        while function is not None:
            if found := list(function.assigned(name)):
                for value in found:
                    yield from self.of(value, Place(place.module, function), depth)
                return
            if name in function.parameters:
                yield from self._given(name, function, depth)
                return
            function = function.outer
        for module, value in self.index.constants(name, place.module):
            yield from self.of(value, Place(module, None), depth)

    def _given(self, name: str, function: Function, depth: int) -> Iterator[str]:
        """Yield what the callers of a function give for a parameter; others may call what is public."""
        if not function.node.name.startswith("_") and function.outer is None:
            yield OPEN
        if default := function.default(name):
            yield from self.of(default, Place(function.module, function.outer), depth)
        for call, place in self.index.calls(function):
            if (value := function.argument(name, call)) is not None:
                yield from self.of(value, place, depth)

    def _called(self, call: ast.Call, place: Place, depth: int) -> Iterator[str]:
        """Yield what a call may return: the items that it joins, a filled-in text, a function's own texts."""
        match call.func:
            case ast.Attribute(value=text, attr="format"):
                for template in self.of(text, place, depth):
                    yield re.sub(r"\{\{\w*\}\}", OPEN, template).replace("{{{{", "{{").replace("}}}}", "}}")
            case ast.Attribute(attr="join"):
                self._keep(self.of(call.args[0], place, depth), place)
                yield OPEN
            case ast.Name(id="ValueError" | "str" | "sorted" | "list" | "tuple") if call.args:
                yield from self.of(call.args[0], place, depth)
            case ast.Name(id=name) | ast.Attribute(attr=name):
                for function in self.index.functions(name, place.module):
                    for value in function.results():
                        yield from self.of(value, Place(function.module, function), depth)
