"""Which shared libraries a program needs, found by reading it: it is not run, so it may be another machine's."""

import dataclasses
import pathlib
import re
import subprocess

_MACHINES = {"Advanced Micro Devices X86-64": ("amd64", "x86_64-linux-gnu"), "AArch64": ("arm64", "aarch64-linux-gnu")}
_FIELDS = {"machine": r"Machine:\s+(.+)", "interpreter": r"program interpreter: ([^\]]+)\]",
           "needed": r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]"}


@dataclasses.dataclass
class Binary:
    architecture: str  # As container images name it.
    triplet: str
    interpreter: str  # Empty: static, or a library.
    needed: list


def read(path):
    shown = subprocess.run(["llvm-readelf-19", "--file-header", "--program-headers", "--dynamic-table", str(path)],
                           check=True, capture_output=True, text=True).stdout
    found = {name: re.findall(pattern, shown) for name, pattern in _FIELDS.items()}
    if not found["machine"] or found["machine"][0].strip() not in _MACHINES:
        raise ValueError(f"{path} is not a program for amd64 or arm64: {''.join(found['machine']) or 'no ELF file'}")
    architecture, triplet = _MACHINES[found["machine"][0].strip()]
    return Binary(architecture, triplet, "".join(found["interpreter"]), found["needed"])


def closure(programs, sysroot="/"):
    """{path in the image: file} of all libraries and loaders that the programs need; `sysroot` is a Debian's."""
    files, waiting = {}, [read(program) for program in programs]
    seen = set()
    while waiting:
        binary = waiting.pop()
        if binary.interpreter:
            files[binary.interpreter] = pathlib.Path(sysroot, binary.interpreter.lstrip("/"))
        for name in set(binary.needed) - seen:
            seen.add(name)
            found = _find(name, binary.triplet, sysroot)
            if not name.startswith("ld-linux"):  # The interpreter, which has its place.
                files[f"/usr/lib/{binary.triplet}/{name}"] = found
            waiting.append(read(found))
    return files


def _find(name, triplet, sysroot):
    for folder in (f"usr/lib/{triplet}", f"lib/{triplet}", "usr/local/lib", "usr/lib", "lib", "lib64"):
        path = pathlib.Path(sysroot, folder, name)
        if path.exists():
            return path
    raise FileNotFoundError(f"{name} for {triplet} is in no library folder of {sysroot}")
