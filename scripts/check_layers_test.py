"""python3 -m unittest scripts/check_layers_test.py"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_layers  # noqa: E402

FILES = {"lib/base/task.h", "lib/base/testing/fake_clock.h", "lib/base/log.h", "lib/io/loop.h", "lib/tls/engine.h",
         "lib/http/session.h", "lib/cni/protocol.h", "agent/model/pod.h", "agent/proxy/relay.h", "agent/node/loader.h",
         "agent/policy/authorizer.h", "agent/admin/admin.h", "agent/app.h", "controlplane/api/object.h",
         "controlplane/ca/signer.h", "bpf/hd_abi.h", "tests/support/net.h"}


def offences(path, *lines):
    text = "".join(line + "\n" for line in lines)
    return [message for _, message in check_layers.check_file(path, text, FILES)]


class Layers(unittest.TestCase):
    def test_accepts_includes_that_point_down(self):
        for path, include in (
                ("lib/io/loop.cc", '"lib/base/task.h"'), ("lib/http/session.cc", '"lib/io/loop.h"'),
                ("agent/policy/authorizer.cc", '"agent/model/pod.h"'), ("agent/node/loader.cc", '"bpf/hd_abi.h"'),
                ("agent/node/loader.cc", '"bpf/heddle.skel.h"'), ("agent/model/pod.cc", '"proto/workload.pb.h"'),
                ("agent/app.cc", '"agent/admin/admin.h"'), ("cli/pods.cc", '"agent/node/loader.h"'),
                ("lib/io/loop_test.cc", '"lib/base/testing/fake_clock.h"'),
                ("agent/proxy/relay_test.cc", '"tests/support/net.h"'),
                ("tests/sim/sim.cc", '"controlplane/ca/signer.h"'), ("lib/io/loop.cc", "<liburing.h>"),
                ("bpf/connect.bpf.c", "<bpf/bpf_helpers.h>"), ("lib/base/log.cc", "<nlohmann/json.hpp>")):
            with self.subTest(f"{path} {include}"):
                self.assertEqual(offences(path, f"#include {include}"), [])

    def test_refuses_includes_that_point_up_sideways_or_across(self):
        for path, include in (
                ("lib/base/task.h", '"lib/io/loop.h"'), ("lib/http/session.cc", '"lib/tls/engine.h"'),
                ("lib/io/loop.cc", '"agent/model/pod.h"'), ("agent/model/pod.h", '"agent/policy/authorizer.h"'),
                ("agent/proxy/relay.cc", '"agent/node/loader.h"'), ("agent/node/loader.cc", '"agent/app.h"'),
                ("agent/proxy/relay.cc", '"bpf/hd_abi.h"'), ("agent/app.cc", '"controlplane/api/object.h"'),
                ("agent/proxy/relay_test.cc", '"controlplane/ca/signer.h"'),
                ("controlplane/ca/signer.cc", '"agent/model/pod.h"'), ("cli/pods.cc", '"agent/proxy/relay.h"'),
                ("lib/io/loop.cc", '"lib/base/testing/fake_clock.h"'), ("cni-plugin/main.cc", '"lib/io/loop.h"')):
            with self.subTest(f"{path} {include}"):
                self.assertEqual(len(offences(path, f"#include {include}")), 1)

    def test_keeps_each_foreign_library_in_one_module(self):
        for path, include in (
                ("agent/hbone/tunnel.cc", "<nghttp2/nghttp2.h>"), ("lib/http/session.cc", "<openssl/ssl.h>"),
                ("agent/app.cc", "<bpf/libbpf.h>"), ("agent/node/routes.cc", "<libmnl/libmnl.h>"),
                ("agent/proxy/relay.cc", "<liburing.h>"), ("agent/app.cc", '"bpf/heddle.skel.h"'),
                ("agent/node/loader.cc", "<bpf/bpf_helpers.h>")):
            with self.subTest(f"{path} {include}"):
                self.assertEqual(len(offences(path, f"#include {include}")), 1)

    def test_keeps_the_plugin_small(self):
        for include in ("<absl/status/status.h>", "<iostream>", '"lib/base/log.h"'):
            for path in ("lib/cni/protocol.cc", "cni-plugin/main.cc"):
                with self.subTest(f"{path} {include}"):
                    self.assertEqual(len(offences(path, f"#include {include}")), 1)

    def test_wants_paths_from_the_root_that_exist(self):
        self.assertEqual(len(offences("lib/io/loop.cc", '#include "lib/io/nothing.h"')), 1)
        self.assertEqual(len(offences("nowhere/x.cc", "int a;")), 1)

    def test_ignores_comments(self):
        lines = ('// #include "lib/io/loop.h"', "/*", "#include <liburing.h>", "*/")
        self.assertEqual(offences("lib/base/task.h", *lines), [])


class Words(unittest.TestCase):
    def test_lib_says_nothing_of_meshes(self):
        for line in ("class PodRecord {};", "int pod_count;", "struct Workload;", "bool is_hbone;", "enum Policy {};"):
            with self.subTest(line):
                self.assertEqual(len(offences("lib/io/loop.cc", line)), 1)

    def test_other_words_and_places_are_free(self):
        for path, line in (("lib/io/loop.cc", "int podium;"), ("lib/io/loop.cc", "auto p = std::launch::policy;"),
                           ("lib/io/loop.cc", "// a pod"), ("lib/cni/args.cc", "std::string pod_uid;"),
                           ("agent/model/pod.h", "struct Pod;")):
            with self.subTest(line):
                self.assertEqual(offences(path, line), [])


if __name__ == "__main__":
    unittest.main()
