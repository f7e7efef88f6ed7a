"""The parameters that a TorchScript file's `data.pkl` describes, found without unpickling.

A pickle is a program for a stack machine that may call anything. This machine knows the few steps that torch's own
writer takes, makes records of what they mean, and calls nothing: a class is a name, an object is its fields, a tensor
says where its numbers lie. Any other step ends the reading.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

_REBUILD = "torch._utils _rebuild_tensor_v2"
_EMPTY = "collections OrderedDict"  # a tensor's hooks, of which there are none
_TYPED = ".jit._pickle "  # makes lists of numbers and the like, which no parameter is
_PLAIN = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"})
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_RANK, _MOST = 8, 1 << 40  # axes, and numbers along one
_MARK = object()


class Storage(NamedTuple):
    """Numbers in a file of the archive."""

    kind: str
    key: str
    length: int


class TensorSpan(NamedTuple):
    """Where a tensor's numbers lie, in sizes that can be reckoned with; whether the storage has them is not known."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    is_parameter: bool


class _Name(NamedTuple):
    """A class or a function, by name."""

    text: str


class _Object:
    """A module: its fields, once they are known."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}


def parameters(data: bytes) -> dict[str, TensorSpan]:
    """The parameters of the module in a `data.pkl`, by dotted name.

    Raises:
        ValueError, LookupError, TypeError: A step is none that a scripted module's file has.
    """
    root = _Machine().run(data)
    if not isinstance(root, _Object):
        raise ValueError("data.pkl holds no module")
    found: dict[str, TensorSpan] = {}
    seen: set[int] = set()  # modules and tensors that stand in several places count once, as in torch
    waiting = [("", root)]
    while waiting:
        prefix, module = waiting.pop()
        for name, value in module.fields.items():
            if id(value) in seen:
                continue
            if isinstance(value, TensorSpan) and value.is_parameter:
                found[prefix + name] = value
                seen.add(id(value))
            elif isinstance(value, _Object):
                waiting.append((f"{prefix}{name}.", value))
                seen.add(id(value))
    return found


class _Machine:
    """The stack, and what was remembered from it."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[Any], None]] = {
            "PROTO": lambda arg: None,
            "MARK": lambda arg: self._stack.append(_MARK),
            "EMPTY_TUPLE": lambda arg: self._stack.append(()),
            "EMPTY_DICT": lambda arg: self._stack.append({}),
            "EMPTY_LIST": lambda arg: self._stack.append([]),
            "GLOBAL": lambda arg: self._stack.append(_Name(arg)),
            "BINPUT": self._put,
            "LONG_BINPUT": self._put,
            "BINGET": lambda arg: self._stack.append(self._memo[arg]),
            "LONG_BINGET": lambda arg: self._stack.append(self._memo[arg]),
            "TUPLE": lambda arg: self._stack.append(tuple(self._to_mark())),
            "APPENDS": self._extend,
            "SETITEMS": self._set_items,
            "NEWOBJ": self._new,
            "BUILD": self._build,
            "BINPERSID": self._refer,
            "REDUCE": self._reduce,
        }

    def run(self, data: bytes) -> Any:
        """What the program leaves."""
        for opcode, arg, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                break
            if opcode.name in _PLAIN:
                self._stack.append(arg)
            elif opcode.name in _CONSTANTS:
                self._stack.append(_CONSTANTS[opcode.name])
            elif opcode.name in _SHORT_TUPLES:
                self._join(_SHORT_TUPLES[opcode.name])
            elif opcode.name in self._steps:
                self._steps[opcode.name](arg)
            else:
                raise ValueError(f"data.pkl has a step {opcode.name}, which no bundle's has")
        (result,) = self._stack
        return result

    def _put(self, arg: int) -> None:
        self._memo[arg] = self._stack[-1]

    def _to_mark(self) -> list[Any]:
        """All above the last mark, taken off together with it."""
        taken = []
        while (value := self._stack.pop()) is not _MARK:
            taken.append(value)
        return taken[::-1]

    def _join(self, size: int) -> None:
        taken = [self._stack.pop() for _ in range(size)]
        self._stack.append(tuple(taken[::-1]))

    def _extend(self, arg: Any) -> None:
        items = self._to_mark()
        _typed(self._stack[-1], list).extend(items)

    def _set_items(self, arg: Any) -> None:
        items = self._to_mark()
        target = _typed(self._stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_typed(key, str)] = value

    def _new(self, arg: Any) -> None:
        given, cls = self._stack.pop(), _typed(self._stack.pop(), _Name)
        if given != () or not cls.text.startswith("__torch__."):
            raise ValueError(f"data.pkl makes an object of {cls.text[:80]}")
        self._stack.append(_Object())

    def _build(self, arg: Any) -> None:
        fields = _typed(self._stack.pop(), dict)
        _typed(self._stack[-1], _Object).fields = fields

    def _refer(self, arg: Any) -> None:
        word, kind, key, device, count = _typed(self._stack.pop(), tuple)
        if word != "storage" or device != "cpu":
            raise ValueError("data.pkl refers to something else than numbers in memory")
        self._stack.append(Storage(_typed(kind, _Name).text, _typed(key, str), _typed(count, int)))

    def _reduce(self, arg: Any) -> None:
        given, function = _typed(self._stack.pop(), tuple), _typed(self._stack.pop(), _Name)
        if function.text == _REBUILD:
            storage, offset, shape, stride, is_parameter, _hooks = given
            numbers = [_typed(number, int) for number in (offset, *_typed(shape, tuple), *_typed(stride, tuple))]
            if len(shape) > _RANK or min(numbers) < 0 or max(numbers) > _MOST:
                raise ValueError("data.pkl has a tensor of a size that no weight has")
            is_parameter = _typed(is_parameter, bool)
            self._stack.append(TensorSpan(_typed(storage, Storage), offset, shape, stride, is_parameter))
        elif function.text == _EMPTY and not given:
            self._stack.append({})
        elif _TYPED in function.text:
            self._stack.append(None)
        else:
            raise ValueError(f"data.pkl calls {function.text[:80]}")


def _typed(value: Any, kind: type[Any]) -> Any:
    """The value, which must be of this type itself."""
    if type(value) is not kind:
        raise TypeError(f"data.pkl has {type(value).__name__} where {kind.__name__} belongs")
    return value
