#pragma once

#include "controlplane/api/decode.h"
#include "controlplane/api/dns_name.h"
#include "controlplane/api/tree_reader.h"

// The decoders of the single kinds, for decode.cc. Each reads one object's mapping; errors go to
// the reader's DecodeError.
namespace heddle::controlplane::api {

ObjectMeta DecodeMeta(TreeReader& object, bool namespaced);
// 1 to 65535; 0 after an error.
uint16_t DecodePort(TreeReader& reader, std::string_view field);
// Empty after an error.
std::vector<io::IpAddress> DecodeAddresses(TreeReader& reader, std::string_view field);

Pod DecodePod(TreeReader& object);
Service DecodeService(TreeReader& object);
EndpointSlice DecodeEndpointSlice(TreeReader& object);

// spec.selector.matchLabels of a policy.
Labels DecodeSelector(TreeReader& spec);
PeerAuthentication DecodePeerAuthentication(TreeReader& object);
AuthorizationPolicy DecodeAuthorizationPolicy(TreeReader& object);
InterceptionPolicy DecodeInterceptionPolicy(TreeReader& object);
// One element of `from`, of `to`, or of `when`; `name_space` completes service accounts.
PolicyMatch DecodeSource(TreeReader source, std::string_view name_space);
PolicyMatch DecodeOperation(TreeReader operation);
PolicyMatch DecodeCondition(TreeReader condition, std::string_view name_space);
// True for the annotation istio.io/dry-run; another value than true or false is an error.
bool DecodeDryRun(const ObjectMeta& meta, TreeReader& object);

}  // namespace heddle::controlplane::api
