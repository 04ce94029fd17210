"""How simulator code is compiled.

Compiled code is kept on disk between runs. Numba decides by the file of the outermost function
whether kept code is still current and does not see an edit in a function it calls from another
file. The folder is therefore named by a hash of all simulator sources: any edit starts afresh.

``error_model="numpy"`` matters most for speed: Python's check for division by zero is an exit
from the loop and stops vectorisation. The fast-math flags leave out ``nnan`` and ``ninf``, which
would delete the tests that detect a blow-up, and ``reassoc``, which harms range reduction. Only a
`reduction` may add in any order: a sum over an array is not vectorised otherwise.

On Intel processors with AVX-512 LLVM uses vectors of half the width unless told not to, out of care
for programs with few vector instructions, which would lower the clock for little. These have many:
whole vectors are up to 1.5 times faster. Whoever sets NUMBA_CPU_FEATURES or NUMBA_CPU_NAME has the
last word.
"""

__all__ = ["FASTMATH", "entry", "kernel", "reduction", "source_hash"]

import hashlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba
from numba.core.codegen import get_host_cpu_features

from neurosbi.cache_folder import cache_directory

PACKAGE = Path(__file__).resolve().parent.parent
FASTMATH = {"contract", "arcp", "nsz"}


@cache
def source_hash() -> str:
    """12 hexadecimal digits that change with any source file of the simulators."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _use_own_cache_folder() -> None:
    numba.config.CACHE_DIR = str(cache_directory() / "compiled" / source_hash())  # type: ignore[attr-defined]


def _use_whole_vectors() -> None:
    if numba.config.CPU_FEATURES is None:  # type: ignore[attr-defined]
        features = get_host_cpu_features()
        if "+avx512f" in features.split(","):
            numba.config.CPU_FEATURES = f"{features},-prefer-256-bit"  # type: ignore[attr-defined]


_use_own_cache_folder()
_use_whole_vectors()

_compiled: Any = partial(numba.njit, error_model="numpy", fastmath=FASTMATH)
# a kernel is called from compiled code only: without the wrappers for Python and C it compiles
# sooner. An entry is what Python calls.
kernel: Any = partial(_compiled, no_cpython_wrapper=True, no_cfunc_wrapper=True)
reduction: Any = partial(kernel, fastmath=FASTMATH | {"reassoc"})


def entry(function: Callable[..., Any]) -> Any:
    """Compile what Python calls, and keep it on disk.

    That of another package is compiled anew in each process: the hash does not see its files, so
    that an edit in one that ``function`` calls would go unnoticed.
    """
    own = Path(function.__code__.co_filename).resolve().is_relative_to(PACKAGE)
    return _compiled(cache=own, nogil=True)(function)
