#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/node/bpf_maps.h"
#include "lib/io/address.h"

namespace heddle::agent {

// What the kernel knows of a captured pod (struct hd_pod and its entries in hd_pod_ip).
struct PodRecord {
  uint64_t netns_cookie = 0;
  uint64_t netns_ino = 0;
  hd_pod_state state = HD_POD_CAPTURING;
  hd_fail_mode fail_mode = HD_FAIL_CLOSED;
  uint32_t exclusion_set = 0;     // From PutExclusions; 0: none.
  bool refuse_plaintext = false;  // The authorizer denies every plaintext source.
  std::vector<io::IpAddress> addresses;
  std::string namespace_name;
  std::string name;
  std::string uid;
};

struct Exclusions {
  std::vector<uint16_t> outbound_ports;
  std::vector<uint16_t> inbound_ports;
  std::vector<io::IpPrefix> outbound_prefixes;  // Of destinations.
  std::vector<io::IpPrefix> inbound_prefixes;   // Of sources.
  bool operator==(const Exclusions&) const = default;
  bool empty() const { return *this == Exclusions(); }
};

// The entries that belong to pods. Every pod is keyed by netns cookie; an entry keyed by an address
// is erased only while it is that pod's, since addresses are used again. Plain synchronous calls
// for the control loop; keep `maps` longer than this.
class PodMaps {
 public:
  explicit PodMaps(const BpfMaps& maps);

  // Writes or replaces the record and its addresses; connections meet the old record or the new
  // one, never a mix. A full map or a pod without any address is refused, and what was there stays.
  // A pod that is new here takes its addresses from whoever has them; one that is not leaves those
  // to a pod that came later: nobody may have heard of its own end.
  absl::Status Put(const PodRecord& pod);
  // Each address leads to this pod, or to one that came later.
  bool HasAddresses(const PodRecord& pod) const;
  // Without its addresses: to find those is to look at all of the node.
  std::optional<PodRecord> Find(uint64_t netns_cookie) const;
  std::vector<PodRecord> List() const;
  // The record, its addresses, its counters, and tuples that nobody takes any more. From here on
  // the pod is not captured: detach its sk_lookup link first.
  void Erase(uint64_t netns_cookie);

  // Tells the hooks which socket serves the role. It must be a TCP socket in LISTEN in the pod's
  // netns; the entry goes with it.
  absl::Status PutListener(uint64_t netns_cookie, hd_listener_role role, int listening_socket);
  // The listening socket's cookie.
  std::optional<uint64_t> FindListener(uint64_t netns_cookie, hd_listener_role role) const;

  // A new set for PodRecord::exclusion_set. Change a pod's: put the new set, put the record, erase
  // the old set.
  absl::StatusOr<uint32_t> PutExclusions(const Exclusions& exclusions);
  void EraseExclusions(uint32_t set);

 private:
  std::vector<io::IpAddress> AddressesOf(uint64_t netns_cookie) const;
  // The captured pod to which the address leads.
  std::optional<uint64_t> FindOwner(const io::IpAddress& address) const;
  void EraseUnusedExclusions();
  uint32_t NextExclusionSet();

  const BpfMaps& maps_;
  uint32_t last_exclusion_set_ = 0;
};

}  // namespace heddle::agent
