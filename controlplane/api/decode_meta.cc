#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controlplane/api/decode_kinds.h"
#include "lib/base/strings.h"

namespace heddle::controlplane::api {
namespace {

constexpr size_t kMaxUidBytes = 128;  // A uid has 36; static pods' are hashes of 32.

bool IsUid(std::string_view text) {
  return text.size() <= kMaxUidBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-';
         });
}

absl::Time DecodeTime(TreeReader& reader, std::string_view field, const std::string& text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    reader.Fail(reader.line(),
                absl::StrCat(reader.PathOf(field), " is not a time such as 2026-01-31T12:00:00Z"));
  }
  return time;
}

Labels KeepMeshAnnotations(Labels::Map annotations) {
  std::erase_if(annotations, [](const auto& entry) {
    const std::string_view domain = std::string_view(entry.first).substr(0, entry.first.find('/'));
    return !domain.ends_with("istio.io") && !domain.ends_with("heddle.io") && domain != "kuma.io";
  });
  return annotations;
}

std::vector<OwnerReference> DecodeOwners(TreeReader& meta) {
  std::vector<OwnerReference> owners;
  for (TreeReader& owner : meta.Children("ownerReferences")) {
    owners.push_back(
        {owner.String("kind"), owner.String("name"), owner.Bool("controller").value_or(false)});
    owner.Skip({"apiVersion", "uid", "blockOwnerDeletion"});
    owner.RefuseUnknown();
  }
  return owners;
}

void CheckNames(const ObjectMeta& meta, bool namespaced, TreeReader& reader) {
  if (meta.name.empty()) {
    reader.Fail(reader.line(), "metadata.name is missing");
  } else if (!IsDnsSubdomain(meta.name)) {
    reader.Fail(reader.line(),
                "metadata.name is not a DNS name of lower-case letters, digits, '-' and '.'");
  }
  if (namespaced && !IsDnsLabel(meta.name_space)) {
    reader.Fail(reader.line(),
                "metadata.namespace is not a DNS label of lower-case letters, digits and '-'");
  }
  if (!IsUid(meta.uid))
    reader.Fail(reader.line(), "metadata.uid has characters that no uid has, or too many");
}

}  // namespace

ObjectMeta DecodeMeta(TreeReader& object, bool namespaced) {
  TreeReader reader = object.Child("metadata");
  if (!reader.present()) object.Fail(object.line(), "metadata is missing");
  ObjectMeta meta{.name = reader.String("name"),
                  .name_space = reader.String("namespace"),
                  .uid = reader.String("uid"),
                  .labels = reader.StringMap("labels"),
                  .annotations = KeepMeshAnnotations(reader.StringMap("annotations")),
                  .owners = DecodeOwners(reader)};
  if (!namespaced) meta.name_space.clear();
  if (namespaced && meta.name_space.empty()) meta.name_space = "default";  // As kubectl would.
  if (const std::string created = reader.String("creationTimestamp"); !created.empty()) {
    meta.created = DecodeTime(reader, "creationTimestamp", created);
  }
  meta.deleting = reader.Find("deletionTimestamp") != nullptr;
  reader.Skip({"generateName", "selfLink", "resourceVersion", "generation",
               "deletionGracePeriodSeconds", "finalizers", "managedFields", "clusterName"});
  reader.RefuseUnknown();
  CheckNames(meta, namespaced, reader);
  return meta;
}

uint16_t DecodePort(TreeReader& reader, std::string_view field) {
  const std::optional<int64_t> port = reader.Integer(field);
  if (port.has_value() && *port >= 1 && *port <= 65535) return static_cast<uint16_t>(*port);
  reader.Fail(reader.line(), absl::StrCat(reader.PathOf(field), " must be a port, 1 to 65535"));
  return 0;
}

std::vector<io::IpAddress> DecodeAddresses(TreeReader& reader, std::string_view field) {
  std::vector<io::IpAddress> addresses;
  for (const std::string& text : reader.Strings(field)) {
    const std::optional<io::IpAddress> address = io::IpAddress::Parse(text);
    if (!address.has_value()) {
      reader.Fail(reader.line(),
                  absl::StrCat(reader.PathOf(field), " has an entry that is not an IP address"));
      return {};
    }
    addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace heddle::controlplane::api
