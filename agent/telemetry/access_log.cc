#include "agent/telemetry/access_log.h"

#include <absl/strings/str_cat.h>

#include <string>
#include <utility>
#include <vector>

#include "lib/base/log.h"

namespace heddle::agent {
namespace {

constexpr std::string_view kScope = "access";

class Fields {
 public:
  Fields() { fields_.reserve(kUsualFields); }
  // A field without a value is left out.
  void Add(std::string_view key, std::string value) {
    if (!value.empty()) fields_.push_back({key, std::move(value)});
  }
  const std::vector<log::Field>& get() const { return fields_; }

 private:
  static constexpr size_t kUsualFields = 17;  // All that a connection of the mesh has.
  std::vector<log::Field> fields_;
};

struct PeerKeys {
  std::string_view workload, name_space, identity, cluster;
};

std::string AddressOf(const RecordedPeer& peer) {
  return peer.address ? peer.address->ToString() : std::string();
}

void AddPeer(const RecordedPeer& peer, const PeerKeys& keys, bool mutual_tls, Fields& fields) {
  static const PeerClaim nothing;
  const PeerClaim& claim = peer.claim ? *peer.claim : nothing;
  fields.Add(keys.workload, peer.workload ? peer.workload->name : claim.workload_name);
  fields.Add(keys.name_space, peer.workload ? peer.workload->name_space : claim.name_space);
  fields.Add(keys.identity, mutual_tls && peer.identity ? peer.identity->ToString() : "");
  fields.Add(keys.cluster, peer.workload ? peer.workload->cluster_id : claim.cluster);
}

Fields FieldsOf(const ConnectionRecord& record) {
  const bool outbound = record.direction == Direction::kOutbound;
  Fields fields;
  fields.Add("src.addr", AddressOf(record.source));
  AddPeer(record.source, {"src.workload", "src.namespace", "src.identity", "src.cluster"},
          record.mutual_tls, fields);
  fields.Add("dst.addr", AddressOf(record.destination));
  fields.Add("dst.hbone_addr", record.hbone_address);
  fields.Add("dst.service", record.service ? record.service->hostname : "");
  AddPeer(record.destination, {"dst.workload", "dst.namespace", "dst.identity", "dst.cluster"},
          record.mutual_tls, fields);
  fields.Add("direction", outbound ? "outbound" : "inbound");
  fields.Add("bytes_sent",
             absl::StrCat(outbound ? record.bytes.from_client : record.bytes.from_server));
  fields.Add("bytes_recv",
             absl::StrCat(outbound ? record.bytes.from_server : record.bytes.from_client));
  fields.Add("duration", absl::StrCat(absl::ToInt64Milliseconds(record.age()), "ms"));
  fields.Add("error", record.error());
  return fields;
}

Fields EarlyFieldsOf(const ConnectionRecord& record) {
  Fields fields;
  fields.Add("src.addr", AddressOf(record.source));
  fields.Add("dst.addr", AddressOf(record.destination));
  fields.Add("direction", record.direction == Direction::kOutbound ? "outbound" : "inbound");
  fields.Add("error", record.error());
  return fields;
}

}  // namespace

void LineAccessLog::Write(const ConnectionRecord& record) {
  if (record.opened()) {
    const log::Level level = record.failure() ? log::Level::kError : log::Level::kInfo;
    if (log::Enabled(level))
      log::WriteScoped(level, kScope, "connection complete", FieldsOf(record).get());
  } else if (log::Enabled(log::Level::kWarning)) {
    log::WriteScoped(log::Level::kWarning, kScope, "connection failed",
                     EarlyFieldsOf(record).get());
  }
}

}  // namespace heddle::agent
