#include "lib/cni/prev_result.h"

#include <arpa/inet.h>

#include <optional>

namespace heddle::cni {
namespace {

using Members = std::vector<JsonMember>;

std::unexpected<Error> Malformed(std::string_view what) {
  return std::unexpected(
      Error{.code = ErrorCode::kDecode, .msg = "the result of the previous plugin: " + std::string(what)});
}

// "10.0.1.2/24" -> "10.0.1.2"; IPv6 in its canonical form.
std::optional<std::string> AddressOf(const std::string& cidr) {
  const std::string text = cidr.substr(0, cidr.find('/'));
  for (const int family : {AF_INET, AF_INET6}) {
    in6_addr binary{};
    char printed[INET6_ADDRSTRLEN];
    if (inet_pton(family, text.c_str(), &binary) != 1) continue;
    if (inet_ntop(family, &binary, printed, sizeof(printed)) != nullptr) return printed;
  }
  return std::nullopt;
}

std::string StringOr(const Members& members, std::string_view key, std::string otherwise) {
  const JsonValue* value = FindMember(members, key);
  if (value == nullptr) return otherwise;
  return JsonString(*value).value_or(otherwise);
}

// Whether interface number `index` of "interfaces" is `ifname` inside the container.
bool IsOurs(const std::vector<JsonValue>& interfaces, int index, std::string_view ifname) {
  if (index < 0 || static_cast<size_t>(index) >= interfaces.size()) return false;
  const auto members = JsonMembers(interfaces[static_cast<size_t>(index)]);
  return members && StringOr(*members, "name", "") == ifname && !StringOr(*members, "sandbox", "").empty();
}

// The items of the list under `key`; none if it is absent or null.
std::optional<std::vector<JsonValue>> ListOf(const Members& members, std::string_view key) {
  const JsonValue* value = FindMember(members, key);
  if (value == nullptr || value->kind == JsonKind::kNull) return std::vector<JsonValue>{};
  return JsonItems(*value);
}

}  // namespace

CniResult<std::string> EchoResult(const JsonValue& prev_result, std::string_view version) {
  const auto members = JsonMembers(prev_result);
  if (!members) return Malformed("is not an object, or names a key twice");
  std::string out(prev_result.raw);
  const JsonValue* old = FindMember(*members, "cniVersion");
  if (old != nullptr) {
    out.replace(static_cast<size_t>(old->raw.data() - prev_result.raw.data()), old->raw.size(), QuoteJson(version));
    return out;
  }
  out.insert(1, "\"cniVersion\":" + QuoteJson(version) + (members->empty() ? "" : ","));
  return out;
}

CniResult<std::vector<std::string>> ContainerAddresses(const JsonValue& prev_result, std::string_view ifname) {
  const auto members = JsonMembers(prev_result);
  if (!members) return Malformed("is not an object, or names a key twice");
  const auto interfaces = ListOf(*members, "interfaces");
  const auto ips = ListOf(*members, "ips");
  if (!interfaces || !ips) return Malformed("\"interfaces\" and \"ips\" must be lists");

  std::vector<std::string> addresses;
  for (const JsonValue& ip : *ips) {
    const auto entry = JsonMembers(ip);
    if (!entry) return Malformed("an entry of \"ips\" is not an object");
    const JsonValue* index = FindMember(*entry, "interface");
    if (index != nullptr && index->kind != JsonKind::kNull) {
      const auto number = JsonInteger(*index);
      if (!number) return Malformed("\"interface\" of an address is not a number");
      if (!IsOurs(*interfaces, *number, ifname)) continue;
    }
    const auto address = AddressOf(StringOr(*entry, "address", ""));
    if (!address) return Malformed("an entry of \"ips\" has no valid address");
    if (addresses.size() == kMaxAddresses) return Malformed("has more than 16 addresses for one container");
    addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace heddle::cni
