#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "controlplane/api/decode_kinds.h"

namespace heddle::controlplane::api {
namespace {

constexpr size_t kMaxLabelValueBytes = 63;

// Enums are written by name or, as protobuf's JSON allows, by number.
MtlsMode DecodeMode(TreeReader mtls) {
  const Tree* tree = mtls.Find("mode");
  mtls.RefuseUnknown();
  if (tree == nullptr) return MtlsMode::kUnset;
  constexpr std::string_view kNames[] = {"UNSET", "DISABLE", "PERMISSIVE", "STRICT"};
  for (int number = 0; number < 4; ++number) {
    const bool same = tree->text == kNames[number] ||
                      (tree->kind == Tree::Kind::kPlain && tree->text == absl::StrCat(number));
    if (tree->is_scalar() && same) return static_cast<MtlsMode>(number);
  }
  mtls.Fail(tree->line,
            absl::StrCat(mtls.PathOf("mode"), " must be UNSET, DISABLE, PERMISSIVE or STRICT"));
  return MtlsMode::kUnset;
}

void DecodePortModes(TreeReader& spec, PeerAuthentication& policy) {
  const Tree* ports = spec.Find("portLevelMtls");
  if (ports == nullptr) return;
  if (ports->kind != Tree::Kind::kMap || ports->members.empty()) {
    return spec.Fail(ports->line, "spec.portLevelMtls must map at least one port to a mode");
  }
  for (const TreeMember& member : ports->members) {
    int port = 0;
    if (!absl::SimpleAtoi(member.key, &port) || port < 1 || port > 65535) {
      return spec.Fail(member.line, "spec.portLevelMtls has a key that is not a port, 1 to 65535");
    }
    const std::string path = absl::StrCat("spec.portLevelMtls[", port, "]");
    const MtlsMode mode =
        DecodeMode(TreeReader(&member.value, path, spec.strictness(), spec.error()));
    if (!policy.port_modes.emplace(static_cast<uint16_t>(port), mode).second) {
      spec.Fail(member.line, absl::StrCat(path, " is given twice"));
    }
  }
  if (policy.selector.empty()) spec.Fail(ports->line, "spec.portLevelMtls needs a selector");
}

}  // namespace

Labels DecodeSelector(TreeReader& spec) {
  TreeReader selector = spec.Child("selector");
  Labels labels = selector.StringMap("matchLabels");
  selector.RefuseUnknown();
  for (const auto& [key, value] : labels) {
    if (key.empty() || key.find('*') != std::string::npos || value.find('*') != std::string::npos) {
      selector.Fail(selector.line(),
                    "spec.selector.matchLabels takes no wildcards and no empty names");
    } else if (value.size() > kMaxLabelValueBytes) {
      selector.Fail(selector.line(), "spec.selector.matchLabels has a value of more than 63 bytes");
    }
  }
  return labels;
}

PeerAuthentication DecodePeerAuthentication(TreeReader& object) {
  PeerAuthentication policy{.meta = DecodeMeta(object, true)};
  TreeReader spec = object.Child("spec");
  policy.selector = DecodeSelector(spec);
  policy.mode = DecodeMode(spec.Child("mtls"));
  DecodePortModes(spec, policy);
  spec.RefuseUnknown();
  return policy;
}

}  // namespace heddle::controlplane::api
