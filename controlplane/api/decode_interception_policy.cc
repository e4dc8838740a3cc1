#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "controlplane/api/decode_kinds.h"
#include "lib/base/strings.h"

namespace heddle::controlplane::api {
namespace {

// Ports are numbers, written without quotes.
uint16_t DecodeListedPort(const Tree& tree, std::string_view path, TreeReader& spec) {
  uint32_t port = 0;
  const bool number = tree.kind == Tree::Kind::kPlain && absl::SimpleAtoi(tree.text, &port);
  if (!number || port < 1 || port > 65535) {
    spec.Fail(tree.line,
              absl::StrCat(ToAbsl(path), " has an entry that is not a port, 1 to 65535"));
    return 0;
  }
  return static_cast<uint16_t>(port);
}

std::vector<uint16_t> DecodePorts(TreeReader& spec, std::string_view field) {
  std::vector<uint16_t> ports;
  const Tree* list = spec.Find(field);
  if (list == nullptr) return ports;
  const std::string path = spec.PathOf(field);
  if (list->kind != Tree::Kind::kList) {
    spec.Fail(list->line, absl::StrCat(path, " must be a list of ports"));
    return ports;
  }
  if (list->items.size() > kMaxExclusions) {
    spec.Fail(list->line, absl::StrCat(path, " has more than ", kMaxExclusions, " entries"));
    return ports;
  }
  for (const Tree& item : list->items) ports.push_back(DecodeListedPort(item, path, spec));
  return ports;
}

std::vector<io::IpPrefix> DecodeCidrs(TreeReader& spec, std::string_view field) {
  std::vector<io::IpPrefix> cidrs;
  for (const std::string& text : spec.Strings(field)) {
    const std::optional<io::IpPrefix> cidr = io::IpPrefix::Parse(text);
    if (!cidr.has_value()) {
      spec.Fail(spec.line(), absl::StrCat(spec.PathOf(field),
                                          " has an entry that is not an address or a CIDR such as "
                                          "10.0.0.0/8"));
      return {};
    }
    cidrs.push_back(*cidr);
  }
  if (cidrs.size() > kMaxExclusions) {
    spec.Fail(spec.line(),
              absl::StrCat(spec.PathOf(field), " has more than ", kMaxExclusions, " entries"));
  }
  return cidrs;
}

bool DecodeFailOpen(TreeReader& spec) {
  const std::string mode = spec.String("failMode");
  if (!mode.empty() && mode != "Open" && mode != "Closed")
    spec.Fail(spec.line(), "spec.failMode must be Closed or Open");
  return mode == "Open";
}

}  // namespace

InterceptionPolicy DecodeInterceptionPolicy(TreeReader& object) {
  InterceptionPolicy policy{.meta = DecodeMeta(object, true)};
  TreeReader spec = object.Child("spec");
  if (!spec.present()) object.Fail(object.line(), "spec is missing");
  policy.selector = DecodeSelector(spec);
  policy.exclusions = {.inbound_ports = DecodePorts(spec, "excludedInboundPorts"),
                       .outbound_ports = DecodePorts(spec, "excludedOutboundPorts"),
                       .inbound_cidrs = DecodeCidrs(spec, "excludedInboundCidrs"),
                       .outbound_cidrs = DecodeCidrs(spec, "excludedOutboundCidrs")};
  policy.fail_open = DecodeFailOpen(spec);
  spec.RefuseUnknown();
  return policy;
}

}  // namespace heddle::controlplane::api
