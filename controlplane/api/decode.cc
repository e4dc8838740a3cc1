#include "controlplane/api/decode.h"

#include <absl/strings/str_cat.h>

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "controlplane/api/decode_kinds.h"
#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace heddle::controlplane::api {
namespace {

constexpr std::string_view kSecurityGroup = "security.istio.io";
constexpr std::string_view kOwnGroup = "heddle.io";
// Groups whose objects steer or guard traffic.
constexpr std::array<std::string_view, 5> kTrafficGroups = {kSecurityGroup, "networking.istio.io",
                                                            "telemetry.istio.io",
                                                            "gateway.networking.k8s.io", kOwnGroup};
// Longest kind or API version that is repeated in a message.
constexpr size_t kMaxNameBytes = 128;

struct KindRow {
  std::string_view group;
  std::string_view name;
  Kind kind;
  std::array<std::string_view, 2> versions;  // The same twice if there is one.
};

constexpr KindRow kKinds[] = {
    {"", "Namespace", Kind::kNamespace, {"v1"}},
    {"", "Node", Kind::kNode, {"v1"}},
    {"", "ServiceAccount", Kind::kServiceAccount, {"v1"}},
    {"", "Pod", Kind::kPod, {"v1"}},
    {"", "Service", Kind::kService, {"v1"}},
    {"discovery.k8s.io", "EndpointSlice", Kind::kEndpointSlice, {"v1", "v1beta1"}},
    {kSecurityGroup, "PeerAuthentication", Kind::kPeerAuthentication, {"v1", "v1beta1"}},
    {kSecurityGroup, "AuthorizationPolicy", Kind::kAuthorizationPolicy, {"v1", "v1beta1"}},
    {kOwnGroup, "InterceptionPolicy", Kind::kInterceptionPolicy, {"v1alpha1", "v1alpha1"}},
    {"", "ConfigMap", Kind::kRemoval, {"v1"}},
};

bool IsPolicy(Kind kind) {
  return kind == Kind::kPeerAuthentication || kind == Kind::kAuthorizationPolicy ||
         kind == Kind::kInterceptionPolicy;
}
bool IsNamespaced(Kind kind) { return kind != Kind::kNamespace && kind != Kind::kNode; }

template <typename T>
Object Share(T value) {
  return std::make_shared<const T>(std::move(value));
}

Object DecodeAs(Kind kind, TreeReader& object) {
  switch (kind) {
    case Kind::kNamespace: return Share(Namespace{DecodeMeta(object, false)});
    case Kind::kNode: return Share(Node{DecodeMeta(object, false)});
    case Kind::kServiceAccount: return Share(ServiceAccount{DecodeMeta(object, true)});
    case Kind::kPod: return Share(DecodePod(object));
    case Kind::kService: return Share(DecodeService(object));
    case Kind::kEndpointSlice: return Share(DecodeEndpointSlice(object));
    case Kind::kPeerAuthentication: return Share(DecodePeerAuthentication(object));
    case Kind::kAuthorizationPolicy: return Share(DecodeAuthorizationPolicy(object));
    case Kind::kInterceptionPolicy: return Share(DecodeInterceptionPolicy(object));
    case Kind::kRemoval: return Share(Removal{DecodeMeta(object, true), object.StringMap("data")});
  }
  return Object();
}

// As much of the metadata as can be read; a policy without a usable name is named after its place,
// which no object in a cluster can be.
ObjectMeta RefusedMeta(const Tree& tree, std::string_view origin) {
  DecodeError ignored;
  TreeReader object(&tree, "", Strictness::kLenient, ignored);
  ObjectMeta meta = DecodeMeta(object, true);
  if (!IsDnsSubdomain(meta.name)) meta.name = UnnamedName(origin, tree.line);
  return meta;
}

void StandInFor(Kind kind, const Tree& tree, std::string_view origin, Decoded& decoded) {
  ObjectMeta meta = RefusedMeta(tree, origin);
  if (!IsDnsLabel(meta.name_space)) return;  // No pod can be in it.
  decoded.key = ObjectKey{kind, NameOf(meta)};

  DecodeError ignored;
  TreeReader object(&tree, "", Strictness::kLenient, ignored);
  const bool dry_run = DecodeDryRun(meta, object);
  const Tree* spec_tree = object.Find("spec");
  DecodeError error;
  TreeReader spec(spec_tree, "spec", Strictness::kStrict, error);
  Labels selector = DecodeSelector(spec);
  if (!error.ok()) selector = {};
  if (kind == Kind::kPeerAuthentication) {
    decoded.stand_in =
        Share(PeerAuthentication{.meta = meta, .selector = selector, .mode = MtlsMode::kStrict});
    return;
  }
  if (kind == Kind::kInterceptionPolicy) {
    decoded.stand_in = Share(InterceptionPolicy{.meta = meta, .selector = selector});
    return;
  }
  const bool for_waypoint = spec.Find("targetRef") != nullptr || spec.Find("targetRefs") != nullptr;
  decoded.stand_in =
      Share(AuthorizationPolicy{.meta = meta,
                                .selector = selector,
                                .action = AuthorizationPolicy::Action::kDeny,
                                .rules = {PolicyRule{}},
                                .dry_run = dry_run,
                                .has_target_refs = for_waypoint && error.ok() && selector.empty(),
                                .stand_in = true});
}

Decoded DecodeKind(const KindRow& row, std::string_view version, const Tree& tree,
                   std::string_view origin) {
  Decoded decoded{.kind = std::string(row.name), .line = tree.line};
  DecodeError error;
  TreeReader object(&tree, "", IsPolicy(row.kind) ? Strictness::kStrict : Strictness::kLenient,
                    error);
  if (version != row.versions[0] && version != row.versions[1]) {
    object.Fail(tree.line, absl::StrCat("version ", ToAbsl(version), " of ", ToAbsl(row.group),
                                        " is not known"));
  }
  object.Skip({"apiVersion", "kind", "status"});
  Object value = DecodeAs(row.kind, object);
  object.RefuseUnknown();
  const ObjectKey key{row.kind, NameOf(MetaOf(value))};
  const bool named =
      IsDnsSubdomain(key.name.name) && (!IsNamespaced(row.kind) || IsDnsLabel(key.name.name_space));
  if (named) decoded.key = key;
  if (error.ok()) {
    decoded.object = std::move(value);
    return decoded;
  }
  decoded.line = error.line;
  decoded.reason = std::move(error.reason);
  if (IsPolicy(row.kind)) StandInFor(row.kind, tree, origin, decoded);
  return decoded;
}

Decoded Refuse(const Tree& tree, std::string kind, std::string reason) {
  return Decoded{.kind = std::move(kind), .line = tree.line, .reason = std::move(reason)};
}

void DecodeItem(const Tree& tree, std::string_view origin, std::vector<Decoded>& out) {
  DecodeError error;
  TreeReader header(&tree, "", Strictness::kLenient, error);
  const std::string api_version = header.String("apiVersion").substr(0, kMaxNameBytes);
  const std::string kind = header.String("kind").substr(0, kMaxNameBytes);
  if (!error.ok()) return out.push_back(Refuse(tree, kind, std::move(error.reason)));
  if (!header.present()) return;  // An empty document.
  if (kind.empty() || api_version.empty()) {
    return out.push_back(
        Refuse(tree, kind, "not a Kubernetes object: it has no apiVersion or no kind"));
  }
  const size_t slash = api_version.find('/');
  const std::string_view group = slash == std::string::npos
                                     ? std::string_view()
                                     : std::string_view(api_version).substr(0, slash);
  const std::string_view version =
      std::string_view(api_version).substr(slash == std::string::npos ? 0 : slash + 1);
  for (const KindRow& row : kKinds) {
    if (row.group != group || row.name != kind) continue;
    if (row.kind != Kind::kRemoval || header.Child("metadata").String("name") == kRemovalName)
      out.push_back(DecodeKind(row, version, tree, origin));
    return;
  }
  for (const std::string_view traffic : kTrafficGroups) {
    if (group == traffic) {
      return out.push_back(
          Refuse(tree, kind,
                 absl::StrCat(kind, " of ", api_version, " is not supported: it has no effect")));
    }
  }
}

}  // namespace

Decoded DecodeObject(Kind kind, const Tree& object) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) return DecodeKind(row, row.versions[0], object, "");
  }
  CHECK(false);
  return {};
}

Decoded RefuseObject(const ObjectKey& key, std::string reason) {
  Decoded decoded{.key = key, .kind = std::string(ToString(key.kind)), .reason = std::move(reason)};
  if (!IsPolicy(key.kind)) return decoded;
  Tree metadata{.kind = Tree::Kind::kMap};
  const auto add = [](Tree& map, const char* name, Tree value) {
    map.members.push_back({.key = name, .value = std::move(value)});
  };
  add(metadata, "name", {.kind = Tree::Kind::kText, .text = key.name.name});
  add(metadata, "namespace", {.kind = Tree::Kind::kText, .text = key.name.name_space});
  Tree object{.kind = Tree::Kind::kMap};
  add(object, "metadata", std::move(metadata));
  StandInFor(key.kind, object, "", decoded);
  return decoded;
}

std::string UnnamedName(std::string_view origin, int line) {
  uint32_t hash = 2166136261;  // FNV-1a.
  for (const char c : origin) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619;
  return absl::StrCat("unnamed.", hash, ".", line);
}

std::vector<Decoded> DecodeDocument(const Tree& document, std::string_view origin) {
  std::vector<Decoded> decoded;
  DecodeError ignored;  // Of the header alone: DecodeItem reads it again.
  TreeReader header(&document, "", Strictness::kLenient, ignored);
  const Tree* kind = header.Find("kind");
  const Tree* items = header.Find("items");
  const bool is_list = kind != nullptr && kind->text.ends_with("List") && items != nullptr &&
                       items->kind == Tree::Kind::kList;
  if (!is_list) {
    DecodeItem(document, origin, decoded);
    return decoded;
  }
  for (const Tree& item : items->items) DecodeItem(item, origin, decoded);
  return decoded;
}

}  // namespace heddle::controlplane::api
