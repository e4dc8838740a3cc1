#include "agent/model/address_decoder.h"

#include <absl/strings/str_cat.h>

#include <memory>
#include <utility>

#include "agent/model/decode.h"
#include "agent/model/decode_values.h"
#include "lib/base/status.h"

namespace heddle::agent {
namespace {

using istio::workload::Address;

absl::StatusOr<DecodedAddress> Named(std::string_view name, WorkloadRef workload) {
  if (workload->uid.ToString() != name) return NameDiffers("workload", workload->uid.ToString());
  return DecodedAddress{.workload = std::move(workload)};
}

}  // namespace

absl::StatusOr<DecodedAddress> AddressDecoder::Decode(std::string_view name,
                                                      std::string_view bytes) {
  if (ViewPlainWorkload(bytes, view_)) {
    TRY_ASSIGN(WorkloadRef workload, DecodeWorkload(view_, shared_));
    return Named(name, std::move(workload));
  }
  arena_.Reset();
  auto& message = *google::protobuf::Arena::CreateMessage<Address>(&arena_);
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return Decode(name, message);
  return absl::InvalidArgumentError(
      absl::StrCat("its bytes are no ", Address::descriptor()->full_name()));
}

absl::StatusOr<DecodedAddress> AddressDecoder::Decode(std::string_view name,
                                                      const Address& message) {
  switch (message.type_case()) {
    case Address::kWorkload: {
      TRY_ASSIGN(WorkloadRef workload, DecodeWorkload(message.workload(), shared_));
      return Named(name, std::move(workload));
    }
    case Address::kService: {
      TRY_ASSIGN(Service service, DecodeService(message.service()));
      if (service.id.ToString() != name) return NameDiffers("service", service.id.ToString());
      return DecodedAddress{.service = std::make_shared<const Service>(std::move(service))};
    }
    case Address::TYPE_NOT_SET: break;
  }
  return absl::InvalidArgumentError("it is neither a workload nor a service");
}

}  // namespace heddle::agent
