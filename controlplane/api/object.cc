#include "controlplane/api/object.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <tuple>

#include "lib/base/strings.h"

namespace heddle::controlplane::api {
namespace {

std::string_view ValueOf(const Labels& labels, std::string_view key) {
  const auto found = labels.find(std::string(key));
  return found == labels.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace

std::string_view ObjectMeta::Label(std::string_view key) const { return ValueOf(labels, key); }
std::string_view ObjectMeta::Annotation(std::string_view key) const {
  return ValueOf(annotations, key);
}

bool OlderThan(const ObjectMeta& a, const ObjectMeta& b) {
  const auto rank = [](const ObjectMeta& meta) {
    return std::make_tuple(meta.created.value_or(absl::InfiniteFuture()),
                           std::string_view(meta.name_space), std::string_view(meta.name));
  };
  return rank(a) < rank(b);
}

bool Selects(const Labels& selector, const Labels& labels) {
  return std::all_of(selector.begin(), selector.end(), [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

bool PolicyMatch::EmptyAtL4() const {
  PolicyMatch empty;
  empty.needs_http = needs_http;
  return *this == empty;
}

bool PolicyRule::NeedsHttp() const {
  const auto needs_http = [](const PolicyMatch& match) { return match.needs_http; };
  return std::any_of(from.begin(), from.end(), needs_http) ||
         std::any_of(to.begin(), to.end(), needs_http) ||
         std::any_of(when.begin(), when.end(), needs_http);
}

bool PolicyRule::MatchesAllAtL4() const {
  const auto empty = [](const PolicyMatch& match) { return match.EmptyAtL4(); };
  return (from.empty() || std::any_of(from.begin(), from.end(), empty)) &&
         (to.empty() || std::any_of(to.begin(), to.end(), empty)) &&
         std::all_of(when.begin(), when.end(), empty);
}

std::string_view ToString(Kind kind) {
  switch (kind) {
    case Kind::kNamespace: return "Namespace";
    case Kind::kNode: return "Node";
    case Kind::kServiceAccount: return "ServiceAccount";
    case Kind::kPod: return "Pod";
    case Kind::kService: return "Service";
    case Kind::kEndpointSlice: return "EndpointSlice";
    case Kind::kPeerAuthentication: return "PeerAuthentication";
    case Kind::kAuthorizationPolicy: return "AuthorizationPolicy";
    case Kind::kInterceptionPolicy: return "InterceptionPolicy";
    case Kind::kRemoval: return "ConfigMap";
  }
  return "";
}

std::string ObjectKey::ToString() const {
  return absl::StrCat(ToAbsl(api::ToString(kind)), " ", name.ToString());
}

const ObjectMeta& MetaOf(const Object& object) {
  return std::visit([](const auto& value) -> const ObjectMeta& { return value->meta; }, object);
}

ObjectKey KeyOf(const Object& object) {
  return {static_cast<Kind>(object.index()), NameOf(MetaOf(object))};
}

bool SameObject(const Object& a, const Object& b) {
  return std::visit(
      [&b]<typename T>(const std::shared_ptr<const T>& value) {
        const auto* other = std::get_if<std::shared_ptr<const T>>(&b);
        return other != nullptr && (*other == value || **other == *value);
      },
      a);
}

}  // namespace heddle::controlplane::api
