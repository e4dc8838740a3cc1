#include "controlplane/translate/interception.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <optional>

#include "controlplane/api/decode.h"
#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace heddle::controlplane::translate {
namespace {

namespace wire = heddle::node::v1;
using api::InterceptionPolicy;

constexpr char kInboundPorts[] = "traffic.sidecar.istio.io/excludeInboundPorts";
constexpr char kOutboundPorts[] = "traffic.sidecar.istio.io/excludeOutboundPorts";
constexpr char kOutboundCidrs[] = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
constexpr char kNoInbound[] = "ambient.istio.io/bypass-inbound-capture";
// They would exclude all else.
constexpr std::string_view kIncluding[] = {"traffic.sidecar.istio.io/includeInboundPorts",
                                           "traffic.sidecar.istio.io/includeOutboundPorts",
                                           "traffic.sidecar.istio.io/includeOutboundIPRanges",
                                           "traffic.sidecar.istio.io/excludeInterfaces"};

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint32_t port = 0;
  if (!absl::SimpleAtoi(ToAbsl(text), &port) || port < 1 || port > 65535) return std::nullopt;
  return static_cast<uint16_t>(port);
}

// A list with commas; the whole of it is refused when one entry is.
template <typename T, typename Parse>
std::optional<std::vector<T>> ParseList(std::string_view text, Parse parse) {
  std::vector<T> values;
  for (absl::string_view part : absl::StrSplit(ToAbsl(text), ',', absl::SkipWhitespace())) {
    const auto value = parse(ToStd(absl::StripAsciiWhitespace(part)));
    if (!value.has_value() || values.size() == api::kMaxExclusions) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

// The annotation's list in place of `list`, if the pod has it.
template <typename T, typename Parse>
void Replace(const api::Pod& pod, const char* annotation, Parse parse, std::vector<T>& list,
             std::vector<std::string>& notes) {
  const auto found = pod.meta.annotations.find(annotation);
  if (found == pod.meta.annotations.end()) return;
  if (auto values = ParseList<T>(found->second, parse)) {
    list = *std::move(values);
  } else {
    notes.push_back(absl::StrCat("annotation ", annotation, " cannot be read and has no effect"));
  }
}

void AddCidrs(const std::vector<io::IpPrefix>& cidrs,
              google::protobuf::RepeatedPtrField<wire::Cidr>& messages) {
  for (const io::IpPrefix& cidr : cidrs) {
    const std::span<const uint8_t> bytes = cidr.address().native_bytes();
    wire::Cidr* added = messages.Add();
    added->set_address(std::string(bytes.begin(), bytes.end()));
    added->set_length(cidr.length());
  }
}

// Plaintext from everywhere goes straight to the application: the same as blocks that hold everybody.
void ReplaceInboundCidrs(const api::Pod& pod, std::vector<io::IpPrefix>& cidrs,
                         std::vector<std::string>& notes) {
  const std::string_view value = pod.meta.Annotation(kNoInbound);
  if (value == "true") {
    cidrs = {*io::IpPrefix::Parse("0.0.0.0/0"), *io::IpPrefix::Parse("::/0")};
  } else if (!value.empty() && value != "false") {
    notes.push_back(absl::StrCat("annotation ", kNoInbound, " cannot be read and has no effect"));
  }
}

wire::Interception Message(const api::Exclusions& exclusions, bool fail_open) {
  wire::Interception message;
  for (const uint16_t port : exclusions.inbound_ports) message.add_excluded_inbound_ports(port);
  for (const uint16_t port : exclusions.outbound_ports) message.add_excluded_outbound_ports(port);
  AddCidrs(exclusions.inbound_cidrs, *message.mutable_excluded_inbound_cidrs());
  AddCidrs(exclusions.outbound_cidrs, *message.mutable_excluded_outbound_cidrs());
  message.set_fail_mode(fail_open ? wire::OPEN : wire::CLOSED);
  return message;
}

}  // namespace

Interceptions::Interceptions(const api::ObjectStore& objects, const MeshOptions& options)
    : levels_(objects, options.root_namespace) {}

const InterceptionPolicy* Interceptions::Choose(const api::Pod& pod, Choice& choice) const {
  const std::vector<const InterceptionPolicy*> selecting = levels_.Selecting(pod);
  const InterceptionPolicy* chosen =
      !selecting.empty() ? selecting.front() : levels_.OfNamespace(pod.meta.name_space);
  if (chosen == nullptr) chosen = levels_.OfMesh();
  if (chosen != nullptr) choice.counts = api::NameOf(chosen->meta);
  for (const InterceptionPolicy* other : selecting) {
    if (other != chosen) choice.lost.push_back(api::NameOf(other->meta));
  }
  return chosen;
}

wire::Interception Interceptions::Of(const api::Pod& pod, Choice& choice,
                                     std::vector<std::string>& notes) const {
  const InterceptionPolicy* policy = Choose(pod, choice);
  api::Exclusions exclusions = policy == nullptr ? api::Exclusions() : policy->exclusions;
  Replace(pod, kInboundPorts, ParsePort, exclusions.inbound_ports, notes);
  Replace(pod, kOutboundPorts, ParsePort, exclusions.outbound_ports, notes);
  Replace(pod, kOutboundCidrs, io::IpPrefix::Parse, exclusions.outbound_cidrs, notes);
  ReplaceInboundCidrs(pod, exclusions.inbound_cidrs, notes);
  for (const std::string_view annotation : kIncluding) {
    if (!pod.meta.Annotation(annotation).empty())
      notes.push_back(
          absl::StrCat("annotation ", ToAbsl(annotation), " is not supported and has no effect"));
  }
  return Message(exclusions, policy != nullptr && policy->fail_open);
}

void InterceptionUses::Count(const Interceptions::Choice& choice, int64_t pods) {
  const auto counted = [this](const api::NamespacedName& name, auto count) {
    const auto use = uses_.try_emplace(name).first;
    count(use->second);
    if (use->second.empty()) uses_.erase(use);
  };
  if (!choice.counts.has_value()) return;
  counted(*choice.counts, [pods](Use& use) { use.pods += pods; });
  for (const api::NamespacedName& name : choice.lost) {
    counted(name, [&](Use& use) {
      const auto winner = use.lost_to.try_emplace(*choice.counts).first;
      if ((winner->second += pods) == 0) use.lost_to.erase(winner);
    });
  }
}

api::ObjectStatus InterceptionUses::StatusOf(const InterceptionPolicy& policy,
                                             const Interceptions& interceptions,
                                             const api::ObjectStore& objects) const {
  api::ObjectStatus status{.object = {api::Kind::kInterceptionPolicy, api::NameOf(policy.meta)},
                           .note = interceptions.WithoutEffect(policy)};
  status.effective = status.note.empty();
  const auto found = uses_.find(status.object.name);
  const Use use = found == uses_.end() ? Use() : found->second;
  if (status.effective) status.note = absl::StrCat("pods: ", use.pods);
  // Several may win over it, each for other pods: the oldest is named.
  const InterceptionPolicy* winner = nullptr;
  int64_t lost = 0;
  for (const auto& [name, pods] : use.lost_to) {
    lost += pods;
    const auto* candidate = objects.Find<InterceptionPolicy>(name);
    CHECK(candidate != nullptr);
    if (winner == nullptr || api::OlderThan(candidate->meta, winner->meta)) winner = candidate;
  }
  if (winner != nullptr) {
    absl::StrAppend(&status.note, "; left to ", winner->meta.name, ", which is older: ", lost);
  }
  return status;
}

}  // namespace heddle::controlplane::translate
