#include "controlplane/capture_service.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "controlplane/authentication.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/grpc/protobuf.h"

namespace heddle::controlplane {
namespace {

// Kubernetes makes UUIDs; of static pods the kubelet makes a hash.
constexpr size_t kMaxUidBytes = 64;
constexpr size_t kMaxNameBytes = 253;

bool IsUid(std::string_view uid) {
  return !uid.empty() && uid.size() <= kMaxUidBytes && std::ranges::all_of(uid, [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
  });
}

// What an agent makes up must not be kept, and told to all controllers.
absl::Status CheckUids(const node::v1::CaptureReport& report) {
  const auto check = [](const auto& pods) -> absl::Status {
    for (const auto& pod : pods) {
      if (!IsUid(pod.uid()))
        return absl::InvalidArgumentError("a report with a uid that is none of Kubernetes");
    }
    return absl::OkStatus();
  };
  TRY_STATUS(check(report.pods()));
  return check(report.uncaptured());
}

ReportedPod FromMessage(const node::v1::CapturedPod& message) {
  ReportedPod pod{.uid = message.uid(),
                  .name_space = message.namespace_().substr(0, kMaxNameBytes),
                  .name = message.name().substr(0, kMaxNameBytes),
                  .addresses = {},
                  .how = message.how().substr(0, kMaxNameBytes),
                  .captured_since = absl::FromUnixNanos(message.captured_since_ns())};
  for (const std::string& bytes : message.addresses()) {
    const auto address =
        io::IpAddress::FromBytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    if (address.has_value()) pod.addresses.push_back(*address);
  }
  return pod;
}

std::map<std::string, std::string> ProblemsIn(const node::v1::CaptureReport& report) {
  std::map<std::string, std::string> problems;
  for (const node::v1::CapturedPod& pod : report.pods()) {
    if (!pod.problem().empty()) problems[pod.uid()] = Printable(pod.problem(), kMaxProblemBytes);
  }
  for (const node::v1::UncapturedPod& pod : report.uncaptured())
    problems[pod.uid()] = Printable(pod.problem(), kMaxProblemBytes);
  return problems;
}

}  // namespace

Task<absl::Status> CaptureService::Serve(grpc::ServerCall& call, const std::string& node) {
  const CaptureReports::StreamId stream = mesh_.reports().Open(node);
  const absl::Status ended = co_await Receive(call, node, stream);
  mesh_.reports().Close(node, stream);
  LOG_INFO("capture.stream.ended", KV("node", node), KV("reason", ended));
  co_return ended;
}

Task<absl::Status> CaptureService::Receive(grpc::ServerCall& call, const std::string& node,
                                           CaptureReports::StreamId stream) {
  while (true) {
    const auto message = co_await call.Receive();
    if (!message.ok()) co_return message.status();
    if (!message->has_value()) co_return absl::OkStatus();
    CO_TRY_ASSIGN(const auto ack, Take(**message, node, stream));
    const std::string bytes = ack.SerializeAsString();
    CO_TRY_STATUS(co_await call.Send(bytes));
  }
}

absl::StatusOr<node::v1::CaptureAck> CaptureService::Take(const std::string& message,
                                                          const std::string& node,
                                                          CaptureReports::StreamId stream) {
  TRY_ASSIGN(const auto report, grpc::Parse<node::v1::CaptureReport>(message));
  TRY_STATUS(CheckClaimedNode(node, report.node()));
  const size_t count = static_cast<size_t>(report.pods_size()) + report.uncaptured_size();
  if (count > kMaxReportedPods) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a report of ", count, " pods; the most is ", kMaxReportedPods));
  }
  TRY_STATUS(CheckUids(report));
  node::v1::CaptureAck ack;
  ack.set_sequence(report.sequence());
  std::vector<ReportedPod> pods;
  for (const node::v1::CapturedPod& pod : report.pods()) {
    if (!mesh_.IsBound(node, pod.uid())) {
      ack.add_refused(
          absl::StrCat(pod.uid(), ": no live pod with this uid is bound to node ", node));
    }
    // Kept all the same: its object may be about to come.
    pods.push_back(FromMessage(pod));
  }
  if (!mesh_.reports().Report(node, stream, std::move(pods), ProblemsIn(report)))
    return absl::AbortedError("the node has opened a newer stream of reports");
  mesh_.ReportsChanged();
  if (ack.refused_size() > 0) {
    LOG_WARN("capture.refused", KV("node", node), KV("pods", ack.refused_size()),
             KV("first", ack.refused(0)));
  }
  return ack;
}

}  // namespace heddle::controlplane
