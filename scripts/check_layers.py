#!/usr/bin/env python3
"""Proves that includes point down only, and that each foreign library shows in one module only.

The layers are those of docs/architecture.md. Usage: scripts/check_layers.py [root]; exit code 1 and one line per
offence if there are any.
"""

import pathlib
import re
import sys

import cpp_source

LIB = ("lib/base", "lib/io", "lib/tls", "lib/http", "lib/grpc", "lib/kube", "lib/netlink", "lib/metrics", "lib/cni",
       "lib/daemon")
ABI = ("bpf",)
PROTO = ("proto",)
AGENT_1 = ("agent/model", "agent/seams", "agent/policy")
AGENT_2 = ("agent/hbone", "agent/xds", "agent/identity", "agent/telemetry")
AGENT_3 = ("agent/proxy", "agent/node", "agent/dns")
CONTROL_1 = ("controlplane/api",)
CONTROL_2 = ("controlplane/translate",)
CONTROL_3 = ("controlplane/sources", "controlplane/xds", "controlplane/ca", "controlplane/status",
             "controlplane/callers")

# module -> modules it may include, itself apart. A folder's own files ("agent", "controlplane") are its app layer.
MAY_INCLUDE = {
    "bpf": (),
    "proto": (),
    "lib/base": (),
    "lib/io": ("lib/base",),
    "lib/tls": ("lib/base", "lib/io"),
    "lib/http": ("lib/base", "lib/io"),
    "lib/grpc": ("lib/base", "lib/io", "lib/http"),
    "lib/kube": ("lib/base", "lib/io", "lib/http", "lib/tls"),
    "lib/netlink": ("lib/base",),
    "lib/metrics": ("lib/base",),
    "lib/cni": ("lib/base",),
    "lib/daemon": ("lib/base", "lib/io"),
    "agent/model": LIB + PROTO,
    "agent/seams": LIB + PROTO + ("agent/model",),
    "agent/policy": LIB + PROTO + ("agent/model",),
    **{module: LIB + PROTO + AGENT_1 for module in AGENT_2},
    **{module: LIB + PROTO + AGENT_1 + AGENT_2 for module in AGENT_3},
    "agent/node": LIB + PROTO + ABI + AGENT_1 + AGENT_2,
    "agent/admin": LIB + PROTO + AGENT_1 + AGENT_2 + AGENT_3,
    "agent": LIB + PROTO + AGENT_1 + AGENT_2 + AGENT_3 + ("agent/admin",),
    "controlplane/api": LIB + PROTO,
    "controlplane/translate": LIB + PROTO + CONTROL_1,
    **{module: LIB + PROTO + CONTROL_1 + CONTROL_2 for module in CONTROL_3},
    "controlplane": LIB + PROTO + CONTROL_1 + CONTROL_2 + CONTROL_3,
    "cni-plugin": ("lib/base", "lib/cni"),
    "cli": LIB + PROTO + ABI + ("agent/model", "agent/policy", "agent/node", "agent/admin",
                                "controlplane/api", "controlplane/sources"),
    "tests": None,  # Tests join parts that must not know each other.
    "bench": None,
}

# Single headers that are allowed beyond the layers: values without behaviour. Each says why.
EXCEPTIONS = {
    ("lib/netlink", "lib/io/address.h"): "routes and sockets are told by address; the type is a plain value",
}

# Header prefix -> (the modules that may see it, why nobody else may).
OWNED_HEADERS = {
    "nghttp2/": (("lib/http",), "HTTP/2 is lib/http's; others use its sessions"),
    "openssl/": (("lib/tls",), "BoringSSL is lib/tls's; others use TlsEngine, Certificate, PrivateKey"),
    "bpf/libbpf": (("agent/node",), "only agent/node touches BPF"),
    "bpf/bpf.h": (("agent/node",), "only agent/node touches BPF"),
    "bpf/btf.h": (("agent/node",), "only agent/node touches BPF"),
    "bpf/bpf_": (("bpf",), "helpers of BPF programs"),
    "linux/bpf.h": (("bpf", "agent/node"), "only agent/node touches BPF"),
    "libmnl/": (("lib/netlink",), "netlink is lib/netlink's"),
    "liburing": (("lib/io",), "only lib/io knows that there is a ring"),
    "linux/io_uring.h": (("lib/io",), "only lib/io knows that there is a ring"),
}

# The plugin is static, small and starts in milliseconds.
PLUGIN_MODULES = ("cni-plugin", "lib/cni")
PLUGIN_BANNED = ("absl/", "iostream", "lib/base/log.h", "lib/base/status.h", "lib/base/strings.h")

# lib/ knows nothing of meshes. lib/cni and lib/kube speak protocols in which a pod is a word.
MESH_WORDS = re.compile(
    r"(?i:workload|hbone|polic(?:y|ies))|(?<![a-zA-Z])[Pp]ods?(?![a-z])|(?<=[a-z0-9])Pods?(?![a-z])")
MESH_WORDS_EXEMPT = ("lib/cni", "lib/kube")
FOREIGN_NAME = re.compile(r"\b(?:std|absl|testing|nlohmann)(?:::\w+)+")


def module_of(path):
    """The module that a file belongs to, or None: lib/base/x.h -> lib/base, agent/app.cc -> agent."""
    parts = path.split("/")
    for length in (2, 1):
        name = "/".join(parts[:length])
        if len(parts) > length and name in MAY_INCLUDE:
            return name
    return None


def is_test(path):
    return path.startswith(("tests/", "bench/")) or "/testing/" in path or re.search(
        r"_(test|fuzz|bench|netns_test)\.cc$", path) is not None


def is_generated(include):
    # protobuf's own messages come with the library.
    return include.endswith((".pb.h", ".skel.h")) and not include.startswith("google/protobuf/")


def check_project_include(path, include, files):
    source, target = module_of(path), module_of(include)
    if include not in files and not is_generated(include):
        return f'"{include}" is not a file of the tree; write the path from the root'
    if include.endswith(".skel.h"):
        if source == "agent/node" or is_test(path):
            return None
        return f'"{include}": only agent/node touches BPF'
    if target is None:
        return f'"{include}" is in no known module'
    if is_test(include) and not is_test(path):
        return f'"{include}" is test code'
    if target == source or MAY_INCLUDE[source] is None or (target == "tests" and is_test(path)):
        return None
    if target not in MAY_INCLUDE[source] and (source, include) not in EXCEPTIONS:
        return f'"{include}": {source} may not include {target}'
    return None


def check_foreign_include(path, include):
    for prefix, (owners, reason) in OWNED_HEADERS.items():
        if include.startswith(prefix):
            if module_of(path) in owners or is_test(path):
                return None
            return f"<{include}>: {reason}"
    return None


def check_plugin_include(path, include):
    if module_of(path) in PLUGIN_MODULES and not is_test(path) and include.startswith(PLUGIN_BANNED):
        return f"{include}: the CNI plugin stays free of abseil and iostream"
    return None


def check_words(path, text):
    module = module_of(path)
    if not path.startswith("lib/") or module in MESH_WORDS_EXEMPT or is_test(path):
        return
    code = FOREIGN_NAME.sub(lambda match: " " * len(match.group(0)), cpp_source.blank(text))
    for match in MESH_WORDS.finditer(code):
        yield cpp_source.line_of(code, match.start()), f'lib/ knows nothing of meshes, but says "{match.group(0)}"'


def check_file(path, text, files):
    """Yields (line, message) for each offence of one file; `files` are all paths of the tree."""
    if module_of(path) is None:
        yield 1, "belongs to no known module; add its folder and layer to scripts/check_layers.py"
        return
    for line, include, quoted in cpp_source.includes(text):
        # Quotes are for our own files; the compiler would look for foreign ones, too.
        ours = include in files or is_generated(include) or (quoted and module_of(include) is not None)
        problem = check_plugin_include(path, include)
        if problem is None:
            problem = check_project_include(path, include, files) if ours else check_foreign_include(path, include)
        if problem:
            yield line, problem
    yield from check_words(path, text)


def check_tree(root):
    files = set(cpp_source.tracked_files(root))
    for path in sorted(files):
        if path.endswith(cpp_source.SOURCE_SUFFIXES):
            for line, message in check_file(path, (root / path).read_text(errors="replace"), files):
                yield f"{path}:{line}: {message}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    offences = list(check_tree(root))
    for offence in offences:
        print(offence)
    print(f"check_layers: {len(offences)} offences", file=sys.stderr)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
