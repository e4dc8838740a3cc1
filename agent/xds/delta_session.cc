#include "agent/xds/delta_session.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "agent/model/address_decoder.h"
#include "agent/model/address_load.h"
#include "lib/base/check.h"
#include "lib/base/heap_grow.h"
#include "lib/base/run_both.h"
#include "lib/base/strings.h"

namespace heddle::agent {
namespace {

template <typename Message, typename Put>
absl::Status ParseAndPut(std::string_view value, Message& message, Put put) {
  if (!message.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return absl::InvalidArgumentError(
        absl::StrCat("its bytes are no ", Message::descriptor()->full_name()));
  }
  return put(message);
}

bool IsStandIn(const ResourceView& resource) { return resource.version.empty() && resource.value.empty(); }

// Addresses on their way from bytes to values. Each thread takes the next slice, so that none waits long for another.
class AddressSlices {
 public:
  explicit AddressSlices(std::span<const ResourceView> resources)
      : resources_(resources),
        slice_(std::clamp<size_t>(resources.size() / kSlices, kSliceMin, kSliceMax)),
        slices_((resources.size() + slice_ - 1) / slice_) {}

  // Until none is left; on any number of threads.
  void Decode() {
    if (resources_.size() >= kHeapGrownFrom) GrowHeap(resources_.size() / 2 * kBytesOfAnAddress);
    AddressDecoder decoder;
    for (size_t i = next_++; i < slices_.size(); i = next_++) DecodeSlice(i, decoder);
  }

  // In the order of the resources.
  std::vector<AddressLoad> TakeLoads() {
    std::vector<AddressLoad> loads;
    for (Slice& slice : slices_) loads.push_back(std::move(slice.load));
    return loads;
  }
  std::vector<std::string_view> Refused() const {
    std::vector<std::string_view> refused;
    for (const Slice& slice : slices_) refused.insert(refused.end(), slice.refused.begin(), slice.refused.end());
    return refused;
  }

 private:
  // So many that two threads end at about the same time, and so long that a slice's parts are mostly known.
  static constexpr size_t kSlices = 8;
  static constexpr size_t kSliceMin = 256;
  static constexpr size_t kSliceMax = 4096;
  static constexpr size_t kHeapGrownFrom = 10'000;  // Resources: below it memory is not what takes long.
  static constexpr size_t kBytesOfAnAddress = 700;  // Once it is decoded: about.

  struct Slice {
    AddressLoad load;
    std::vector<std::string_view> refused;
  };

  void DecodeSlice(size_t number, AddressDecoder& decoder) {
    Slice& slice = slices_[number];
    const size_t begin = number * slice_;
    const auto resources = resources_.subspan(begin, std::min(slice_, resources_.size() - begin));
    slice.load.Reserve(resources.size());
    for (const ResourceView& resource : resources) {
      if (IsStandIn(resource)) continue;
      if (!slice.load.Add(resource.name, resource.value, decoder).ok()) slice.refused.push_back(resource.name);
    }
  }

  const std::span<const ResourceView> resources_;
  const size_t slice_;  // Resources.
  std::vector<Slice> slices_;  // Each is written by the thread that took it.
  std::atomic<size_t> next_ = 0;
};

}  // namespace

DeltaSession::DeltaSession(StateBuilder& builder, NodeDescription node,
                           std::vector<ResourceKind> kinds)
    : builder_(builder), node_(std::move(node)), kinds_(std::move(kinds)) {}

std::vector<DeltaSession::Request> DeltaSession::Open() const {
  std::vector<Request> requests;
  for (const ResourceKind kind : kinds_) {
    Request& request = requests.emplace_back();
    request.set_type_url(std::string(TypeUrl(kind)));
    request.mutable_node()->set_id(node_.id);
    for (const auto& [key, value] : node_.metadata) {
      (*request.mutable_node()->mutable_metadata()->mutable_fields())[key].set_string_value(value);
    }
    // What was refused and never was good is listed without a version: the answer is then the resource, or its
    // removal, and with it goes the stand-in.
    auto& versions = *request.mutable_initial_resource_versions();
    held_[static_cast<size_t>(kind)].resources.ForEach(
        [&versions](const std::string& name, const auto& resource) {
          versions[name] = resource->version;
        });
  }
  return requests;
}

void DeltaSession::Begin(Response response) {
  CHECK(!batch_.has_value());
  batch_.emplace(std::move(response));
}

bool DeltaSession::Advance(size_t resources_max) {
  Batch& batch = *batch_;
  if (!batch.kind.has_value())
    return true;  // Nobody asked for it; acknowledged, so that the stream goes on.
  for (size_t i = 0; i < resources_max; ++i) {
    if (batch.next_removal < batch.response.removed_resources_size()) {
      Remove(*batch.kind, batch.response.removed_resources(batch.next_removal++));
    } else if (batch.next_resource < batch.response.resources_size()) {
      Apply(*batch.kind, batch.response.resources(batch.next_resource++));
    } else {
      return true;
    }
  }
  return batch.next_removal == batch.response.removed_resources_size() &&
         batch.next_resource == batch.response.resources_size();
}

DeltaSession::Outcome DeltaSession::Finish() {
  Batch& batch = *batch_;
  Outcome& outcome = batch.outcome;
  outcome.reply.set_type_url(batch.response.type_url());
  outcome.reply.set_response_nonce(batch.response.nonce());
  if (!outcome.refused.empty()) outcome.reply.mutable_error_detail()->set_message(NackText());
  if (batch.kind.has_value()) {
    const bool first = !Held(*batch.kind).received;
    Held(*batch.kind).received = true;
    builder_.SetReceived(*batch.kind);
    // A refused policy may have left a stand-in.
    const bool changed =
        first || outcome.applied > 0 || outcome.removed > 0 || !outcome.refused.empty();
    if (changed) outcome.state = builder_.Publish();
    EndEdit();
  }
  Outcome result = std::move(outcome);
  batch_.reset();
  return result;
}

DeltaSession::Outcome DeltaSession::Handle(Response response) {
  Begin(std::move(response));
  while (!Advance(SIZE_MAX)) continue;
  return Finish();
}

void DeltaSession::Apply(ResourceKind kind,
                         const envoy::service::discovery::v3::Resource& resource) {
  absl::Status status;
  const auto& any = resource.resource();
  if (any.type_url() != TypeUrl(kind)) {
    status = absl::InvalidArgumentError(
        absl::StrCat("it is a ", any.type_url(), " among ", ToAbsl(TypeUrl(kind))));
    if (kind == ResourceKind::kAuthorization)
      builder_.RefusePolicy(resource.name(), ToStd(status.message()));
  } else {
    status = Put(kind, resource.name(), any.value());
  }
  if (status.ok()) {
    Hold(kind, resource.name(), {resource.version(), any.value()});
    ++batch_->outcome.applied;
    return;
  }
  if (Held(kind).resources.Find(resource.name()) == nullptr) Hold(kind, resource.name(), {});
  batch_->outcome.refused.push_back(absl::StrCat(resource.name(), ": ", status.message()));
}

absl::Status DeltaSession::Put(ResourceKind kind, std::string_view name, std::string_view value) {
  switch (kind) {
    case ResourceKind::kAddress: return builder_.PutAddress(name, value);
    case ResourceKind::kAuthorization: {
      istio::security::Authorization message;
      if (message.ParseFromArray(value.data(), static_cast<int>(value.size())))
        return builder_.PutPolicy(name, message);
      const absl::Status status =
          absl::InvalidArgumentError("its bytes are no istio.security.Authorization");
      builder_.RefusePolicy(name, ToStd(status.message()));
      return status;
    }
    case ResourceKind::kNodePod: {
      heddle::node::v1::NodePod pod;
      return ParseAndPut(
          value, pod, [&](const auto& message) { return builder_.PutNodePod(name, message); });
    }
  }
  return absl::InternalError("unknown kind");
}

void DeltaSession::Remove(ResourceKind kind, const std::string& name) {
  switch (kind) {
    case ResourceKind::kAddress: builder_.RemoveAddress(name); break;
    case ResourceKind::kAuthorization: builder_.RemovePolicy(name); break;
    case ResourceKind::kNodePod: builder_.RemoveNodePod(name); break;
  }
  Held(kind).resources.Erase(edit_, name);
  ++batch_->outcome.removed;
}

void DeltaSession::Hold(ResourceKind kind, const std::string& name, HeldResource resource) {
  Held(kind).resources.Put(edit_, name, std::make_shared<const HeldResource>(std::move(resource)));
}

StateRef DeltaSession::Restore(const StateView& stored) {
  for (const ResourceKind kind : kAllResourceKinds) {
    const KindView& from = stored[static_cast<size_t>(kind)];
    // More than that, some of which may have to be refused, go one by one.
    if (kind == ResourceKind::kAddress && from.resources.size() <= kMaxResourcesPerKind) {
      RestoreAddresses(from);
    } else {
      RestoreEach(kind, from);
    }
    if (from.received) builder_.SetReceived(kind);
  }
  return builder_.Publish();
}

void DeltaSession::HoldRestored(const StateView& stored) {
  held_ = HoldAll(stored);
  for (const HeldKind& kind : held_) edit_ = std::max(edit_, kind.resources.last_edit() + 1);
  for (const auto& [kind, name] : std::exchange(refused_, {})) Hold(kind, name, {});
  EndEdit();
}

void DeltaSession::RestoreAddresses(const KindView& from) {
  AddressSlices slices(from.resources);
  const auto decode = [&slices] { slices.Decode(); };
  RunBoth(AddressLoad::ThreadsFor(from.resources.size()), decode, decode);
  for (const std::string_view name : slices.Refused()) refused_.emplace_back(ResourceKind::kAddress, name);
  std::vector<AddressLoad> loads = slices.TakeLoads();
  builder_.Load(loads);
}

void DeltaSession::RestoreEach(ResourceKind kind, const KindView& from) {
  for (const ResourceView& resource : from.resources) {
    const bool stand_in = IsStandIn(resource);
    if (stand_in && kind == ResourceKind::kAuthorization) {
      builder_.RefusePolicy(resource.name, "it was refused before the restart");
    }
    if (!stand_in && !Put(kind, resource.name, resource.value).ok()) refused_.emplace_back(kind, resource.name);
  }
}

void DeltaSession::EndEdit() {
  whole_ = held_;
  ++edit_;
}

std::string DeltaSession::NackText() const {
  const std::vector<std::string>& refused = batch_->outcome.refused;
  std::string text;
  for (size_t i = 0; i < refused.size(); ++i) {
    if (text.size() + refused[i].size() > kMaxNackBytes) {
      absl::StrAppend(&text, text.empty() ? "" : "; ", refused.size() - i, " more");
      break;
    }
    absl::StrAppend(&text, i == 0 ? "" : "; ", refused[i]);
  }
  return text;
}

}  // namespace heddle::agent
