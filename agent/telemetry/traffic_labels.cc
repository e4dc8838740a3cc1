#include "agent/telemetry/traffic_labels.h"

namespace heddle::agent {
namespace {

struct PeerLabels {
  std::string_view workload, canonical_service, canonical_revision, name_space, principal, cluster;
};

PeerLabels LabelsOf(const RecordedPeer& peer) {
  PeerLabels labels;
  if (const PeerClaim* claim = peer.claim.get()) {
    labels = {claim->workload_name, claim->canonical_name, claim->canonical_revision,
              claim->name_space,    {},                    claim->cluster};
  }
  if (const Workload* workload = peer.workload.get()) {
    labels = {workload->workload_name,
              workload->canonical_name,
              workload->canonical_revision,
              workload->name_space,
              {},
              workload->cluster_id};
  }
  if (peer.identity) labels.principal = peer.identity->ToString();
  return labels;
}

}  // namespace

std::vector<std::string_view> TrafficLabelNames() {
  return {"reporter",
          "source_workload",
          "source_canonical_service",
          "source_canonical_revision",
          "source_workload_namespace",
          "source_principal",
          "source_app",
          "source_version",
          "source_cluster",
          "destination_service",
          "destination_service_namespace",
          "destination_service_name",
          "destination_workload",
          "destination_canonical_service",
          "destination_canonical_revision",
          "destination_workload_namespace",
          "destination_principal",
          "destination_app",
          "destination_version",
          "destination_cluster",
          "request_protocol",
          "response_flags",
          "connection_security_policy",
          "source_region",
          "source_zone",
          "destination_region",
          "destination_zone"};
}

TrafficLabels::TrafficLabels(const ConnectionRecord& record, std::string_view response_flags) {
  values_.reserve(27);
  Add(record.direction == Direction::kOutbound ? "source" : "destination");
  AddSource(record);
  AddDestination(record);
  Add("tcp");
  Add(response_flags);
  Add(record.mutual_tls ? "mutual_tls" : "unknown");
  AddLocality(record);
}

void TrafficLabels::AddSource(const ConnectionRecord& record) {
  const PeerLabels source = LabelsOf(record.source);
  Add(source.workload);
  Add(source.canonical_service);
  Add(source.canonical_revision);
  Add(source.name_space);
  Add(source.principal);
  Add(source.canonical_service);
  Add(source.canonical_revision);
  Add(source.cluster);
}

void TrafficLabels::AddDestination(const ConnectionRecord& record) {
  // Labels are views: what they show must outlive the list, so an absent service is an empty view
  // and no conditional makes a temporary string of either.
  const Service* service = record.service.get();
  Add(service == nullptr ? std::string_view() : std::string_view(service->hostname));
  Add(service == nullptr ? std::string_view() : std::string_view(service->name_space));
  Add(service == nullptr ? std::string_view() : std::string_view(service->name));
  const PeerLabels destination = LabelsOf(record.destination);
  Add(destination.workload);
  Add(destination.canonical_service);
  Add(destination.canonical_revision);
  Add(destination.name_space);
  Add(destination.principal);
  Add(destination.canonical_service);
  Add(destination.canonical_revision);
  Add(destination.cluster);
}

void TrafficLabels::AddLocality(const ConnectionRecord& record) {
  for (const RecordedPeer* peer : {&record.source, &record.destination}) {
    const Workload* workload = peer->workload.get();
    values_.push_back(workload ? std::string_view(workload->locality.region) : std::string_view());
    values_.push_back(workload ? std::string_view(workload->locality.zone) : std::string_view());
  }
}

}  // namespace heddle::agent
