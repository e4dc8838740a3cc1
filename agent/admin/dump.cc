#include "agent/admin/dump.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/strings.h"
#include "lib/tls/trust_roots.h"

namespace heddle::agent {
namespace {

using Json = nlohmann::ordered_json;

std::string Text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Empty values are left out, as ztunnel does.
void Put(Json& json, const char* key, std::string_view value) {
  if (!value.empty()) json[key] = std::string(value);
}

std::string Time(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

Json GatewayJson(const GatewayAddress& gateway) {
  Json json;
  json["destination"] = gateway.service
                            ? gateway.service->ToString()
                            : absl::StrCat(gateway.network, "/", gateway.ip->ToString());
  json["hboneMtlsPort"] = gateway.hbone_port;
  return json;
}

Json WorkloadJson(const Workload& workload) {
  Json json;
  json["workloadIps"] = Json::array();
  for (const io::IpAddress& ip : workload.addresses) json["workloadIps"].push_back(ip.ToString());
  if (workload.waypoint) json["waypoint"] = GatewayJson(*workload.waypoint);
  if (workload.network_gateway) json["networkGateway"] = GatewayJson(*workload.network_gateway);
  json["protocol"] = workload.protocol == TunnelProtocol::kHbone ? "HBONE" : "TCP";
  if (workload.host_network) json["networkMode"] = "HostNetwork";
  json["uid"] = workload.uid.ToString();
  Put(json, "name", workload.name);
  Put(json, "namespace", workload.name_space);
  if (workload.identity) {
    Put(json, "trustDomain", workload.identity->trust_domain());
    Put(json, "serviceAccount", workload.identity->service_account());
  }
  Put(json, "network", workload.network);
  Put(json, "workloadName", workload.workload_name);
  Put(json, "workloadType", ToString(workload.type));
  Put(json, "canonicalName", workload.canonical_name);
  Put(json, "canonicalRevision", workload.canonical_revision);
  Put(json, "hostname", workload.hostname);
  Put(json, "node", workload.node);
  Put(json, "clusterId", workload.cluster_id);
  json["status"] = workload.healthy ? "Healthy" : "Unhealthy";
  json["capacity"] = workload.capacity;
  for (const PolicyName& name : workload.authorization_policies) {
    json["authorizationPolicies"].push_back(name.ToString());
  }
  for (const ServiceMembership& member : workload.services) {
    json["services"].push_back(member.service.ToString());
  }
  return json;
}

Json EndpointJson(const Endpoint& endpoint) {
  Json json;
  json["workloadUid"] = endpoint.workload->uid.ToString();
  json["port"] = Json::object();
  for (const PortMapping& port : endpoint.membership->ports) {
    json["port"][std::to_string(port.service_port)] = port.target_port;
  }
  json["status"] = endpoint.workload->healthy ? "Healthy" : "Unhealthy";
  return json;
}

Json ServiceJson(const State& state, const Service& service) {
  Json json;
  json["name"] = service.name;
  json["namespace"] = service.name_space;
  json["hostname"] = service.hostname;
  json["vips"] = Json::array();
  for (const ServiceAddress& address : service.addresses) {
    const bool host = address.is_host();
    json[host ? "vips" : "cidrVips"].push_back(
        absl::StrCat(address.network.ToString(), "/",
                     host ? address.prefix.address().ToString() : address.prefix.ToString()));
  }
  json["ports"] = Json::object();
  for (const PortMapping& port : service.ports) {
    json["ports"][std::to_string(port.service_port)] = port.target_port;
  }
  json["endpoints"] = Json::object();
  for (const Endpoint& endpoint : state.FindEndpoints(service.id)) {
    json["endpoints"][endpoint.workload->uid.ToString()] = EndpointJson(endpoint);
  }
  for (const tls::SpiffeId& id : service.identities) {
    json["subjectAltNames"].push_back(id.ToString());
  }
  if (service.waypoint) json["waypoint"] = GatewayJson(*service.waypoint);
  return json;
}

Json StringMatchesJson(const std::vector<StringMatch>& matches) {
  Json json = Json::array();
  for (const StringMatch& match : matches) {
    switch (match.kind) {
      case StringMatch::Kind::kExact: json.push_back({{"Exact", match.value}}); break;
      case StringMatch::Kind::kPrefix: json.push_back({{"Prefix", match.value}}); break;
      case StringMatch::Kind::kSuffix: json.push_back({{"Suffix", match.value}}); break;
      case StringMatch::Kind::kPresence: json.push_back({{"Presence", Json::object()}}); break;
    }
  }
  return json;
}

Json MatchJson(const Match& match) {
  Json json = Json::object();
  const auto strings = [&json](const char* key, const std::vector<StringMatch>& matches) {
    if (!matches.empty()) json[key] = StringMatchesJson(matches);
  };
  const auto prefixes = [&json](const char* key, const std::vector<io::IpPrefix>& blocks) {
    for (const io::IpPrefix& block : blocks) json[key].push_back(block.ToString());
  };
  const auto accounts = [&json](const char* key, const std::vector<ServiceAccountMatch>& list) {
    for (const auto& match : list) {
      json[key].push_back(absl::StrCat(match.name_space, "/", match.service_account));
    }
  };
  strings("namespaces", match.namespaces);
  strings("notNamespaces", match.not_namespaces);
  strings("principals", match.principals);
  strings("notPrincipals", match.not_principals);
  accounts("serviceAccounts", match.service_accounts);
  accounts("notServiceAccounts", match.not_service_accounts);
  prefixes("sourceIps", match.source_ips);
  prefixes("notSourceIps", match.not_source_ips);
  prefixes("destinationIps", match.destination_ips);
  prefixes("notDestinationIps", match.not_destination_ips);
  if (!match.destination_ports.empty()) json["destinationPorts"] = match.destination_ports;
  if (!match.not_destination_ports.empty())
    json["notDestinationPorts"] = match.not_destination_ports;
  return json;
}

Json PolicyJson(const Policy& policy) {
  const std::string& id = policy.id.ToString();
  Json json;
  json["name"] = id.substr(std::min(id.size(), id.find('/') + 1));
  json["namespace"] = policy.name_space;
  switch (policy.scope) {
    case PolicyScope::kGlobal: json["scope"] = "Global"; break;
    case PolicyScope::kNamespace: json["scope"] = "Namespace"; break;
    case PolicyScope::kSelector: json["scope"] = "WorkloadSelector"; break;
  }
  json["action"] = policy.action == PolicyAction::kAllow ? "Allow" : "Deny";
  if (policy.dry_run) json["dryRun"] = true;
  Put(json, "refused", policy.refusal);
  json["rules"] = Json::array();
  for (const Rule& rule : policy.rules) {
    Json clauses = Json::array();
    for (const Clause& clause : rule.clauses) {
      Json matches = Json::array();
      for (const Match& match : clause.matches) matches.push_back(MatchJson(match));
      clauses.push_back(std::move(matches));
    }
    json["rules"].push_back(std::move(clauses));
  }
  return json;
}

Json CertificateJson(const tls::Certificate& certificate) {
  Json json;
  json["pem"] = absl::Base64Escape(certificate.ToPem());
  json["serialNumber"] = certificate.serial();
  json["validFrom"] = Time(certificate.not_before());
  json["expirationTime"] = Time(certificate.not_after());
  return json;
}

Json CertificatesArray(const Certificates& certificates, absl::Time now) {
  std::map<std::string, Json> sorted;
  for (const auto& [id, entry] : certificates.entries()) {
    Json json;
    json["identity"] = id.ToString();
    const bool valid = certificates.FindValid(id, now) != nullptr;
    json["state"] = valid                   ? "Available"
                    : entry.failure.empty() ? "Initializing"
                                            : absl::StrCat("Unavailable: ", entry.failure);
    Put(json, "lastError", entry.failure);
    json["certChain"] = Json::array();
    json["rootCerts"] = Json::array();
    if (entry.certificate) {
      const tls::ContextOptions& options = entry.certificate->context->options();
      for (const auto& certificate : options.credential->chain) {
        json["certChain"].push_back(CertificateJson(certificate));
      }
      for (const auto& root : options.roots->certificates()) {
        json["rootCerts"].push_back(CertificateJson(root));
      }
    }
    sorted[id.ToString()] = std::move(json);
  }
  Json array = Json::array();
  for (auto& [id, json] : sorted) array.push_back(std::move(json));
  return array;
}

Json ConnectionJson(const ConnectionDump& connection) {
  Json json;
  json["src"] = connection.source;
  Put(json, "originalDst", connection.original_destination);
  Put(json, "actualDst", connection.actual_destination);
  json["protocol"] = connection.kind == "inbound_plaintext" ? "TCP" : "HBONE";
  Put(json, "peerIdentity", connection.peer_identity);
  return json;
}

Json WorkloadStateJson(const std::vector<PodStatus>& pods,
                       const std::vector<ConnectionDump>& connections) {
  Json all = Json::object();
  for (const PodStatus& pod : pods) {
    Json json;
    json["state"] = pod.captured ? "Up" : "Pending";
    Json inbound = Json::array();
    Json outbound = Json::array();
    for (const ConnectionDump& connection : connections) {
      if (connection.pod_uid != pod.record.uid) continue;
      (connection.kind == "outbound" ? outbound : inbound).push_back(ConnectionJson(connection));
    }
    json["connections"] = {{"inbound", std::move(inbound)}, {"outbound", std::move(outbound)}};
    json["info"] = {{"name", pod.record.name},
                    {"namespace", pod.record.namespace_name},
                    {"serviceAccount", pod.record.service_account}};
    all[pod.record.uid] = std::move(json);
  }
  return all;
}

// Members of a map of the state, sorted by key so that two dumps can be compared.
template <typename Map, typename MakeJson>
Json SortedArray(const Map& map, MakeJson make_json) {
  std::map<std::string, Json> sorted;
  map.ForEach(
      [&](const auto& key, const auto& value) { sorted[key.ToString()] = make_json(*value); });
  Json array = Json::array();
  for (auto& [key, json] : sorted) array.push_back(std::move(json));
  return array;
}

void PutPrefixes(Json& json, const char* key, const std::vector<io::IpPrefix>& prefixes) {
  for (const io::IpPrefix& prefix : prefixes) json[key].push_back(prefix.ToString());
}

// With the names of an InterceptionPolicy's fields; null when all of the pod is captured and fails closed.
Json InterceptionJson(const PodStatus& pod) {
  Json json;
  const Exclusions& excluded = pod.exclusions;
  if (!excluded.outbound_ports.empty()) json["excludedOutboundPorts"] = excluded.outbound_ports;
  if (!excluded.inbound_ports.empty()) json["excludedInboundPorts"] = excluded.inbound_ports;
  PutPrefixes(json, "excludedOutboundCidrs", excluded.outbound_prefixes);
  PutPrefixes(json, "excludedInboundCidrs", excluded.inbound_prefixes);
  if (pod.fails_open) json["failMode"] = "Open";
  return json;
}

Json PodJson(const PodStatus& pod) {
  Json json;
  json["namespace"] = pod.record.namespace_name;
  json["name"] = pod.record.name;
  json["uid"] = pod.record.uid;
  json["serviceAccount"] = pod.record.service_account;
  json["addresses"] = Json::array();
  for (const io::IpAddress& ip : pod.record.addresses) json["addresses"].push_back(ip.ToString());
  json["captured"] = pod.captured;
  json["how"] = "ebpf";
  if (pod.leaving) json["leaving"] = true;
  Put(json, "problem", pod.problem);
  for (const StrayProcess& stray : pod.strays) {
    json["processesOutsideCgroup"].push_back({{"pid", stray.pid}, {"name", stray.name}});
  }
  if (Json interception = InterceptionJson(pod); !interception.is_null()) {
    json["interception"] = std::move(interception);
  }
  json["netns"] = pod.record.netns_path;
  json["netnsCookie"] = pod.record.netns_cookie;
  json["capturedSince"] = Time(absl::FromUnixNanos(pod.record.captured_unix_ns));
  return json;
}

}  // namespace

std::string ConfigDumpJson(const State& state, const Certificates& certificates,
                           const std::vector<PodStatus>& pods,
                           const std::vector<ConnectionDump>& connections,
                           const std::string& config_json, absl::Time now) {
  Json json;
  json["workloads"] = SortedArray(state.workloads(), WorkloadJson);
  json["services"] = SortedArray(
      state.services(), [&state](const Service& service) { return ServiceJson(state, service); });
  json["policies"] = SortedArray(state.policies(), PolicyJson);
  json["config"] = Json::parse(config_json, nullptr, false);
  json["certificates"] = CertificatesArray(certificates, now);
  json["workloadState"] = WorkloadStateJson(pods, connections);
  return Text(json);
}

std::string PodsJson(const std::vector<PodStatus>& pods,
                     const std::vector<UncapturedPod>& uncaptured) {
  Json array = Json::array();
  for (const PodStatus& pod : pods) array.push_back(PodJson(pod));
  for (const UncapturedPod& pod : uncaptured) {
    array.push_back({{"namespace", pod.namespace_name},
                     {"name", pod.name},
                     {"uid", pod.uid},
                     {"captured", false},
                     {"problem", pod.problem}});
  }
  return Text(array);
}

std::string ConnectionsJson(const std::vector<ConnectionDump>& connections) {
  Json array = Json::array();
  for (const ConnectionDump& connection : connections) {
    Json json = ConnectionJson(connection);
    json["podUid"] = connection.pod_uid;
    json["kind"] = connection.kind;
    array.push_back(std::move(json));
  }
  return Text(array);
}

std::string PoliciesJson(const State& state) {
  return Text(SortedArray(state.policies(), PolicyJson));
}

std::string CertificatesJson(const Certificates& certificates, absl::Time now) {
  return Text(CertificatesArray(certificates, now));
}

std::string StatusJson(const AgentStatus& status, const std::vector<PodStatus>& pods,
                       const std::vector<UncapturedPod>& uncaptured) {
  const auto captured =
      std::count_if(pods.begin(), pods.end(), [](const PodStatus& pod) { return pod.captured; });
  Json json;
  json["node"] = status.node_name;
  json["version"] = status.version;
  json["ready"] = status.ready;
  Put(json, "notReadyBecause", status.not_ready_because);
  json["gone"] = status.gone;
  json["backend"] = status.backend;
  Put(json, "backendFallbackReason", status.backend_fallback_reason);
  json["workers"] = status.workers;
  json["controller"] = {{"connected", status.controller_connected}};
  Put(json["controller"], "lastError", status.controller_error);
  json["stateGeneration"] = status.state_generation;
  json["podsCaptured"] = captured;
  json["podsWithProblems"] = static_cast<int64_t>(pods.size() + uncaptured.size()) - captured;
  return Text(json);
}

}  // namespace heddle::agent
