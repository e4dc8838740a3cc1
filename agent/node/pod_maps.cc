#include "agent/node/pod_maps.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_cat.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "lib/base/status.h"

namespace heddle::agent {
namespace {

uint64_t MonotonicNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

hd_ip ToKey(const io::IpAddress& address) {
  hd_ip key{};
  std::ranges::copy(address.bytes(), key.addr);
  return key;
}

io::IpAddress FromKey(const hd_ip& key) {
  return io::IpAddress::FromBytes(key.addr).value_or(io::IpAddress());
}

template <size_t N>
void CopyText(const std::string& text, char (&out)[N]) {
  const size_t length = std::min(text.size(), N - 1);  // Cut for people; nothing compares it.
  memcpy(out, text.data(), length);
}

template <size_t N>
std::string ReadText(const char (&text)[N]) {
  return std::string(text, strnlen(text, N));
}

hd_pod ToAbi(const PodRecord& pod, uint64_t since_ns) {
  hd_pod out{};
  out.netns_ino = pod.netns_ino;
  out.since_ns = since_ns;
  out.state = pod.state;
  out.fail_mode = pod.fail_mode;
  out.exclusion_set = pod.exclusion_set;
  out.refuse_plaintext = pod.refuse_plaintext ? 1 : 0;
  const auto first = [&](bool v4, __u8(&ip)[16]) {
    const auto found = std::ranges::find_if(
        pod.addresses, [&](const io::IpAddress& a) { return a.is_v4() == v4; });
    if (found != pod.addresses.end()) std::ranges::copy(found->bytes(), ip);
  };
  first(true, out.ip4);
  first(false, out.ip6);
  CopyText(absl::StrCat(pod.namespace_name, "/", pod.name), out.name);
  CopyText(pod.uid, out.uid);
  return out;
}

PodRecord FromAbi(uint64_t netns_cookie, const hd_pod& pod, std::vector<io::IpAddress> addresses) {
  const std::string name = ReadText(pod.name);
  const size_t slash = name.find('/');
  return PodRecord{.netns_cookie = netns_cookie,
                   .netns_ino = pod.netns_ino,
                   .state = pod.state,
                   .fail_mode = pod.fail_mode,
                   .exclusion_set = pod.exclusion_set,
                   .refuse_plaintext = pod.refuse_plaintext != 0,
                   .addresses = std::move(addresses),
                   .namespace_name = name.substr(0, slash),
                   .name = slash == std::string::npos ? "" : name.substr(slash + 1),
                   .uid = ReadText(pod.uid)};
}

hd_excl_cidr_key ToKey(uint32_t set, hd_direction direction, const io::IpPrefix& prefix) {
  hd_excl_cidr_key key{};
  const uint32_t mapped_bits = prefix.address().is_v4() ? 96 : 0;
  key.prefixlen = 32 + mapped_bits + prefix.length();
  key.exclusion_set = direction == HD_INBOUND ? set | HD_EXCLUSION_SET_OF_SOURCES : set;
  std::ranges::copy(prefix.address().bytes(), key.addr);
  return key;
}

uint32_t SetOf(const hd_excl_cidr_key& key) {
  return key.exclusion_set & ~HD_EXCLUSION_SET_OF_SOURCES;
}

}  // namespace

PodMaps::PodMaps(const BpfMaps& maps) : maps_(maps) { EraseUnusedExclusions(); }

absl::Status PodMaps::Put(const PodRecord& pod) {
  if (pod.addresses.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("pod ", pod.uid, " has no address to be captured at"));
  const std::optional<hd_pod> before = maps_.Find<hd_pod>(MapId::kPods, pod.netns_cookie);
  if (!before) TRY_STATUS(maps_.PutPerCpuZero<hd_pod_stats>(MapId::kPodStats, pod.netns_cookie));
  const hd_pod record = ToAbi(pod, before ? before->since_ns : MonotonicNow());
  if (absl::Status put = maps_.Put(MapId::kPods, pod.netns_cookie, record); !put.ok()) {
    if (!before) maps_.Erase(MapId::kPodStats, pod.netns_cookie);
    return put;
  }
  for (const io::IpAddress& address : pod.addresses) {
    if (before && FindOwner(address).value_or(pod.netns_cookie) != pod.netns_cookie) continue;
    if (absl::Status put = maps_.Put(MapId::kPodIp, ToKey(address), hd_pod_ref{pod.netns_cookie});
        !put.ok()) {
      if (!before) Erase(pod.netns_cookie);
      return put;
    }
  }
  if (!before) return absl::OkStatus();  // Erase() takes the addresses first: without a record there are none.
  for (const io::IpAddress& address : AddressesOf(pod.netns_cookie)) {
    if (std::ranges::find(pod.addresses, address) == pod.addresses.end())
      maps_.Erase(MapId::kPodIp, ToKey(address));
  }
  return absl::OkStatus();
}

bool PodMaps::HasAddresses(const PodRecord& pod) const {
  return std::ranges::all_of(
      pod.addresses, [&](const io::IpAddress& address) { return FindOwner(address).has_value(); });
}

std::optional<uint64_t> PodMaps::FindOwner(const io::IpAddress& address) const {
  const std::optional<hd_pod_ref> ref = maps_.Find<hd_pod_ref>(MapId::kPodIp, ToKey(address));
  if (!ref || !maps_.Find<hd_pod>(MapId::kPods, ref->netns_cookie)) return std::nullopt;
  return ref->netns_cookie;
}

std::optional<PodRecord> PodMaps::Find(uint64_t netns_cookie) const {
  const std::optional<hd_pod> pod = maps_.Find<hd_pod>(MapId::kPods, netns_cookie);
  if (!pod) return std::nullopt;
  return FromAbi(netns_cookie, *pod, {});
}

std::vector<PodRecord> PodMaps::List() const {
  absl::flat_hash_map<uint64_t, std::vector<io::IpAddress>> addresses;
  for (const hd_ip& key : maps_.Keys<hd_ip>(MapId::kPodIp)) {
    const std::optional<hd_pod_ref> ref = maps_.Find<hd_pod_ref>(MapId::kPodIp, key);
    if (ref) addresses[ref->netns_cookie].push_back(FromKey(key));
  }
  std::vector<PodRecord> pods;
  for (const uint64_t cookie : maps_.Keys<uint64_t>(MapId::kPods)) {
    const std::optional<hd_pod> pod = maps_.Find<hd_pod>(MapId::kPods, cookie);
    if (pod) pods.push_back(FromAbi(cookie, *pod, addresses[cookie]));
  }
  return pods;
}

void PodMaps::Erase(uint64_t netns_cookie) {
  for (const io::IpAddress& address : AddressesOf(netns_cookie))
    maps_.Erase(MapId::kPodIp, ToKey(address));
  maps_.Erase(MapId::kPods, netns_cookie);
  maps_.Erase(MapId::kPodStats, netns_cookie);
  for (const MapId id : {MapId::kOrigdst, MapId::kBypass}) {
    for (const hd_flow& flow : maps_.Keys<hd_flow>(id)) {
      if (flow.netns_cookie == netns_cookie) maps_.Erase(id, flow);
    }
  }
}

std::vector<io::IpAddress> PodMaps::AddressesOf(uint64_t netns_cookie) const {
  std::vector<io::IpAddress> addresses;
  for (const hd_ip& key : maps_.Keys<hd_ip>(MapId::kPodIp)) {
    const std::optional<hd_pod_ref> ref = maps_.Find<hd_pod_ref>(MapId::kPodIp, key);
    if (ref && ref->netns_cookie == netns_cookie) addresses.push_back(FromKey(key));
  }
  return addresses;
}

absl::Status PodMaps::PutListener(uint64_t netns_cookie, hd_listener_role role,
                                  int listening_socket) {
  const hd_listen_key key{.netns_cookie = netns_cookie, .role = role};
  return maps_.Put(MapId::kListen, key, static_cast<uint64_t>(listening_socket));
}

std::optional<uint64_t> PodMaps::FindListener(uint64_t netns_cookie, hd_listener_role role) const {
  return maps_.Find<uint64_t>(MapId::kListen,
                              hd_listen_key{.netns_cookie = netns_cookie, .role = role});
}

absl::StatusOr<uint32_t> PodMaps::PutExclusions(const Exclusions& exclusions) {
  const uint32_t set = NextExclusionSet();
  uint16_t rule = 0;
  absl::Status status;
  const auto put_port = [&](uint16_t port, hd_direction direction) {
    const hd_excl_port_key key{
        .exclusion_set = set, .port = port, .direction = static_cast<__u8>(direction)};
    status.Update(maps_.Put(MapId::kExclPort, key, hd_exclusion{.rule = ++rule}));
  };
  const auto put_prefix = [&](const io::IpPrefix& prefix, hd_direction direction) {
    const hd_exclusion exclusion{.rule = ++rule,
                                 .ipv6 = static_cast<__u8>(prefix.address().is_v4() ? 0 : 1)};
    status.Update(maps_.Put(MapId::kExclCidr, ToKey(set, direction, prefix), exclusion));
  };
  for (const uint16_t port : exclusions.outbound_ports) put_port(port, HD_OUTBOUND);
  for (const uint16_t port : exclusions.inbound_ports) put_port(port, HD_INBOUND);
  for (const io::IpPrefix& prefix : exclusions.outbound_prefixes) put_prefix(prefix, HD_OUTBOUND);
  for (const io::IpPrefix& prefix : exclusions.inbound_prefixes) put_prefix(prefix, HD_INBOUND);
  if (!status.ok()) {
    EraseExclusions(set);
    return status;
  }
  return set;
}

void PodMaps::EraseExclusions(uint32_t set) {
  for (const auto& key : maps_.Keys<hd_excl_port_key>(MapId::kExclPort)) {
    if (key.exclusion_set == set) maps_.Erase(MapId::kExclPort, key);
  }
  for (const auto& key : maps_.Keys<hd_excl_cidr_key>(MapId::kExclCidr)) {
    if (SetOf(key) == set) maps_.Erase(MapId::kExclCidr, key);
  }
}

// Sets of an agent that died between writing a set and switching a pod to it.
void PodMaps::EraseUnusedExclusions() {
  absl::flat_hash_set<uint32_t> used;
  for (const PodRecord& pod : List()) used.insert(pod.exclusion_set);
  for (const uint32_t set : used) last_exclusion_set_ = std::max(last_exclusion_set_, set);
  for (const auto& key : maps_.Keys<hd_excl_port_key>(MapId::kExclPort)) {
    if (!used.contains(key.exclusion_set)) maps_.Erase(MapId::kExclPort, key);
  }
  for (const auto& key : maps_.Keys<hd_excl_cidr_key>(MapId::kExclCidr)) {
    if (!used.contains(SetOf(key))) maps_.Erase(MapId::kExclCidr, key);
  }
}

uint32_t PodMaps::NextExclusionSet() {
  // 0 means none; two billion changes later old sets are long gone.
  last_exclusion_set_ = (last_exclusion_set_ + 1) & ~HD_EXCLUSION_SET_OF_SOURCES;
  if (last_exclusion_set_ == 0) last_exclusion_set_ = 1;
  return last_exclusion_set_;
}

}  // namespace heddle::agent
