#pragma once

#include <absl/status/statusor.h>
#include <google/protobuf/arena.h>

#include <array>
#include <string_view>

#include "agent/model/service.h"
#include "agent/model/shared_parts.h"
#include "agent/model/workload.h"
#include "agent/model/workload_view.h"
#include "proto/workload.pb.h"

namespace heddle::agent {

// One of the two.
struct DecodedAddress {
  WorkloadRef workload;
  ServiceRef service;
};

// From the bytes of Address resources to validated values (decode.h); workloads that were decoded by one decoder share
// what they have in common. One thread's; what it has decoded is everybody's.
class AddressDecoder {
 public:
  AddressDecoder() = default;
  AddressDecoder(const AddressDecoder&) = delete;
  AddressDecoder& operator=(const AddressDecoder&) = delete;

  // `name` is the resource's name on the wire; it must agree with what is inside.
  absl::StatusOr<DecodedAddress> Decode(std::string_view name, std::string_view bytes);
  absl::StatusOr<DecodedAddress> Decode(std::string_view name,
                                        const istio::workload::Address& message);

 private:
  SharedParts shared_;
  WorkloadView view_;
  // More than one of them needs, so that a reset of the arena frees nothing. (Each Decode() resets it first: the block
  // is then the calling thread's.)
  alignas(8) std::array<char, 8192> block_;
  google::protobuf::Arena arena_{block_.data(), block_.size()};
};

}  // namespace heddle::agent
