"""What checks shapes and types while tests run: beartype, where an int passes for a float.

Called again with arguments and results of the same types and shapes, a function is not checked
again: what beartype and jaxtyping say of them depends on nothing else in lfi's annotations. Nor is
the check made before the first call.
"""

import dataclasses
from collections import defaultdict
from functools import partial, wraps
from threading import Lock, local
from types import FunctionType

import jaxtyping
import numpy as np
from beartype import BeartypeConf, beartype
from torch import Tensor

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
check_always = jaxtyping.jaxtyped
LONGEST = 32  # of the tuples, lists and dictionaries whose parts are told
SEEN = defaultdict(dict)  # by line and annotations: what came out of what went in


def check_once_per_shape():
    """Let jaxtyping check so in what is imported from now on."""
    jaxtyping.jaxtyped = jaxtyped


def jaxtyped(target=None, *, typechecker):
    """Return a function, or a class, that is checked where types or shapes are new."""
    if target is None:
        return partial(jaxtyped, typechecker=typechecker)
    if isinstance(target, FunctionType):
        return checked_once(target, typechecker)
    if dataclasses.is_dataclass(target):
        if not hasattr(target.__init__, "checked_once"):  # else inherited
            target.__init__ = checked_once(target.__init__, typechecker)
        return target
    return check_always(target, typechecker=typechecker)


def checked_once(function, typechecker):
    try:
        seen = SEEN[(function.__code__, *function.__annotations__.items())]
    except TypeError:  # an annotation without a hash
        seen = {}
    made, making = [], Lock()  # the checked function, and one that checks a result alone

    def checks():
        with making:  # threads may call at once
            if not made:
                results = local()

                @wraps(function)
                def known(*args, **kwargs):
                    return results.stack[-1]

                whole = check_always(function, typechecker=typechecker)
                made.extend((whole, results, check_always(known, typechecker=typechecker)))
        return made

    if any(isinstance(kind, str) for kind in function.__annotations__.values()):
        checks()  # now, where a class that is not made yet counts as anything

    @wraps(function)
    def call(*args, **kwargs):
        __tracebackhide__ = True
        try:
            given = tuple(map(told, args)), tuple((name, told(kwargs[name])) for name in kwargs)
            before = seen.get(given)
        except (TypeError, RecursionError):
            return checks()[0](*args, **kwargs)
        if before is None:
            out = checks()[0](*args, **kwargs)
            seen.setdefault(given, set()).add(told_or_none(out))
            return out
        out = function(*args, **kwargs)
        kind = told_or_none(out)
        if kind is None or kind not in before:
            _, results, known = checks()
            results.stack = [*getattr(results, "stack", []), out]
            try:
                known(*args, **kwargs)
            finally:
                results.stack.pop()
            before.add(kind)
        return out

    call.checked_once = True
    return call


def told_or_none(value):
    """Return `told`, None where it cannot be told: such a result is checked every time."""
    try:
        return told(value)
    except (TypeError, RecursionError):  # a list in itself
        return None


def told(value):
    """Return all that checks look at: type, shape and dtype, and those of the parts."""
    kind = type(value)
    how = HOW.get(kind)
    if how is None:
        how = HOW[kind] = next((how for base, how in KINDS if issubclass(kind, base)), of_type)
    return how(value)


def of_array(value):
    return type(value), value.shape, value.dtype


def of_tuple(value):
    if len(value) > LONGEST:
        raise TypeError("too long to be told")
    return (type(value), *map(told, value))


def of_list(value):
    parts = of_tuple(value)
    if len(set(parts[1:])) > 1:  # beartype looks at one of them, by chance
        raise TypeError("parts differ")
    return parts


def of_mapping(value):
    return type(value), of_list(list(value.values())), *value


def of_text(value):
    return value  # which may be one of a few that are allowed


of_type = type
KINDS = (
    ((Tensor, np.ndarray), of_array),
    (tuple, of_tuple),
    (list, of_list),
    (dict, of_mapping),
    (str, of_text),
)
HOW = {}  # by type, as they come
