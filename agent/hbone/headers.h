#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/workload.h"
#include "lib/base/random.h"
#include "lib/io/address.h"

namespace heddle::agent {

// The headers that HBONE peers tell each other about the ends of a connection. All of it is a
// claim, for telemetry only: nothing of it is ever used for authorization. Written and read byte
// for byte as Istio's node proxy does.

// Longest value of one of these headers that is looked at; a longer one is ignored, like a
// malformed one.
inline constexpr size_t kMaxClaimBytes = 4096;

// Who the source of a connection (in a request) or its destination (in a response) says it is.
//
//     baggage: k8s.cluster.name=c,k8s.namespace.name=ns,k8s.deployment.name=w,service.name=s,service.version=v,
//              cloud.region=r,cloud.availability_zone=z
//
// Members without a value are left out. There is no percent-encoding.
struct Baggage {
  std::string cluster;
  std::string namespace_name;
  std::string workload_type;  // "deployment", "cronjob", "pod" or "job".
  std::string workload_name;
  std::string service_name;
  std::string service_version;
  std::string region;
  std::string zone;
  bool operator==(const Baggage&) const = default;
};

// What the control plane says of a workload.
Baggage BaggageOf(const Workload& workload);
std::string EncodeBaggage(const Baggage& baggage);
// Adds what one header line says; unknown members are skipped, a line that is not printable ASCII
// is ignored.
void MergeBaggage(std::string_view value, Baggage& baggage);

//     forwarded: for="10.0.0.1:4711";host=web.shop.svc.cluster.local        (RFC 7239)
std::string EncodeForwarded(const io::SocketAddress& source, std::string_view service_host);
// The service that the client meant; empty when it is not said.
std::string ForwardedHost(std::string_view value);

//     traceparent: 00-<32 hex digits>-<16 hex digits>-00        (W3C Trace Context)
std::string NewTraceparent(Random& random);
// True for a value that can be adopted.
bool IsTraceparent(std::string_view value);

}  // namespace heddle::agent
