#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/netns.h"
#include "agent/node/pod_sockets.h"
#include "lib/io/address.h"

namespace heddle::agent {

// What must be known about a captured pod to serve it again after the agent restarted, and to let
// it go: one JSON file per pod in the run directory, which is on tmpfs and so ends with the kernel
// state that it describes.
struct CaptureRecord {
  std::string uid;
  std::string namespace_name;
  std::string name;
  std::string service_account;
  std::string trust_domain;
  std::string workload_uid;
  std::string container_id;  // Of the sandbox whose ADD captured it. Empty: captured in place.
  std::string network;       // The CNI network that the ADD was for.
  std::string ifname;        // The interface of that ADD; a DEL of another one releases nothing.
  std::string netns_path;    // When it no longer names `netns`, the pod is gone.
  NetnsInode netns;
  uint64_t netns_cookie = 0;
  std::vector<io::IpAddress> addresses;
  Sysctls sysctls_before;
  int64_t captured_unix_ns = 0;

  bool operator==(const CaptureRecord&) const = default;
  // It ran when it was captured: no ADD said which container it is, and its netns was found by its
  // processes.
  bool in_place() const { return container_id.empty(); }
  std::string PodName() const { return namespace_name + "/" + name; }
};

std::string EncodeCaptureRecord(const CaptureRecord& record);
absl::StatusOr<CaptureRecord> DecodeCaptureRecord(std::string_view text);

// The records of one agent on disk. Blocking, but tmpfs is memory. Control loop only.
class CaptureRecordStore {
 public:
  // `directory` is made (0700) when absent.
  static absl::StatusOr<CaptureRecordStore> Open(std::string directory);

  // Atomic: a reader sees the old record or the new one.
  absl::Status Save(const CaptureRecord& record);
  // What is not there is no error.
  absl::Status Remove(std::string_view uid);
  // All readable records; `unreadable` gets a sentence for each file that is none.
  std::vector<CaptureRecord> Load(std::vector<std::string>& unreadable) const;

 private:
  explicit CaptureRecordStore(std::string directory) : directory_(std::move(directory)) {}
  std::string PathOf(std::string_view uid) const;
  std::string directory_;
};

}  // namespace heddle::agent
