#include "cni-plugin/plugin.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "cni-plugin/agent_client.h"
#include "cni-plugin/run_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/cni/network_config.h"
#include "lib/cni/prev_result.h"

namespace heddle::cni {
namespace {

// STATUS is asked every few seconds with the runtime waiting; it has 100 ms in all.
constexpr int kStatusMilliseconds = 60;

struct Job {
  Invocation invocation;
  NetworkConfig config;
};

using Outcome = CniResult<Output>;

std::unexpected<Error> Fail(ErrorCode code, std::string msg, std::string details = "") {
  return std::unexpected(Error{.code = code, .msg = std::move(msg), .details = std::move(details)});
}

Request RequestFor(const Job& job) {
  return {.command = job.invocation.command,
          .container_id = job.invocation.container_id,
          .netns = job.invocation.netns,
          .ifname = job.invocation.ifname,
          .network = job.config.network,
          .pod = job.invocation.pod,
          .ips = {},
          .attachments = {}};
}

std::unexpected<Error> Refused(const Reply& reply) {
  return std::unexpected(
      Error{.code = static_cast<ErrorCode>(reply.code), .msg = reply.msg, .details = reply.details});
}

CniResult<UniqueFd> OpenNetns(const std::string& path) {
  UniqueFd netns(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (netns.valid()) return netns;
  return Fail(ErrorCode::kIo, "cannot open the network namespace " + path + " (CNI_NETNS): " + std::strerror(errno));
}

// Whether a pod may start although the agent gave no answer.
bool MayPassUnseen(const Job& job, const NoAnswer& no_answer) {
  const std::string& name = job.invocation.pod.pod_namespace;
  const auto& exempt = job.config.exempt_namespaces;
  if (!name.empty() && std::ranges::find(exempt, name) != exempt.end()) return true;
  // An agent that has the request may be at work on this pod; what the file says may be older than that.
  if (no_answer.delivered) return false;
  const std::optional<Enrollment> enrollment = ReadEnrollment(job.config.run_dir);
  return MayStartWithoutAgent(enrollment ? &*enrollment : nullptr, name);
}

CniResult<void> NeedPrevResult(const Job& job) {
  if (job.config.has_prev_result) return {};
  return Fail(ErrorCode::kInvalidConfig,
              "heddle-cni needs the result of another plugin: put it last into the conflist's list of plugins");
}

Outcome Add(const Job& job, const Deadline& deadline) {
  TRY_VOID(NeedPrevResult(job));
  TRY(std::string result, EchoResult(job.config.prev_result, job.config.cni_version));
  result += '\n';
  Request request = RequestFor(job);
  TRY(request.ips, ContainerAddresses(job.config.prev_result, job.invocation.ifname));
  TRY(const UniqueFd netns, OpenNetns(job.invocation.netns));
  const auto reply = AskAgent(job.config.socket, request, netns.get(), deadline);
  if (reply && reply->code == 0) {
    RememberAnswer(job.config.run_dir);
    return Output{.out = std::move(result)};
  }
  if (reply) return Refused(*reply);
  if (MayPassUnseen(job, reply.error())) {
    return Output{.out = std::move(result), .warning = "pod starts without the agent, it is not in the mesh"};
  }
  return Fail(ErrorCode::kTryAgainLater,
              "the mesh agent of this node does not answer, and the pod must not start outside the mesh; "
              "is heddle-agent running on this node?",
              reply.error().reason);
}

Outcome Del(const Job& job, const Deadline& deadline) {
  const auto reply = AskAgent(job.config.socket, RequestFor(job), -1, deadline);
  if (!reply) return Output{.warning = reply.error().reason + "; the agent will release the pod when it is back"};
  if (reply->code == 0 || reply->code == static_cast<int>(ErrorCode::kUnknownContainer)) return Output{};
  return Refused(*reply);
}

Outcome Check(const Job& job, const Deadline& deadline) {
  TRY_VOID(NeedPrevResult(job));
  Request request = RequestFor(job);
  TRY(request.ips, ContainerAddresses(job.config.prev_result, job.invocation.ifname));
  TRY(const UniqueFd netns, OpenNetns(job.invocation.netns));
  const auto reply = AskAgent(job.config.socket, request, netns.get(), deadline);
  if (!reply) {
    return Fail(ErrorCode::kAgentUnreachable, "the mesh agent of this node does not answer", reply.error().reason);
  }
  if (reply->code != 0) return Refused(*reply);
  return Output{};
}

Outcome Status(const Job& job) {
  if (HasAnswered(job.config.run_dir)) return Output{};
  const auto reply = AskAgent(job.config.socket, RequestFor(job), -1, Deadline::After(kStatusMilliseconds));
  if (reply && reply->code == 0) {
    RememberAnswer(job.config.run_dir);
    return Output{};
  }
  return Fail(ErrorCode::kNotAvailable, "the mesh agent of this node has not answered since the last boot",
              reply ? reply->msg : reply.error().reason);
}

Outcome Gc(const Job& job, const Deadline& deadline) {
  Request request = RequestFor(job);
  request.attachments = job.config.valid_attachments;
  if (request.attachments.size() > kMaxAttachments) {
    return Output{.warning = "too many attachments for one message; the agent finds what is gone by itself"};
  }
  const auto reply = AskAgent(job.config.socket, request, -1, deadline);
  if (!reply) {
    return Fail(ErrorCode::kAgentUnreachable, "the mesh agent of this node does not answer", reply.error().reason);
  }
  if (reply->code != 0) return Refused(*reply);
  return Output{};
}

Outcome Dispatch(const Job& job, const Deadline& deadline) {
  switch (job.invocation.command) {
    case Command::kAdd: return Add(job, deadline);
    case Command::kDel: return Del(job, deadline);
    case Command::kCheck: return Check(job, deadline);
    case Command::kStatus: return Status(job);
    case Command::kGc: return Gc(job, deadline);
    case Command::kVersion: return Output{.out = VersionJson(job.config.cni_version)};
  }
  return Fail(ErrorCode::kBadEnvironment, "unknown command");
}

// `version` becomes the one to answer errors in, as soon as it is known and supported.
Outcome Perform(const Environment& environment, std::string_view text, const Deadline& deadline, std::string& version) {
  Job job;
  TRY(job.invocation, ParseInvocation(environment));
  const Command command = job.invocation.command;
  // VERSION is also asked by hand, with nothing on standard input.
  if (command == Command::kVersion && text.empty()) return Dispatch(job, deadline);
  TRY(job.config, ParseNetworkConfig(text));
  if (CheckVersion(job.config.cni_version, Command::kVersion)) version = job.config.cni_version;
  if (command != Command::kVersion) TRY_VOID(CheckVersion(job.config.cni_version, command));
  return Dispatch(job, deadline);
}

}  // namespace

Output Run(const Environment& environment, std::string_view config_text, const Deadline& deadline) {
  std::string version(NewestVersion());
  Outcome outcome = Perform(environment, config_text, deadline, version);
  if (outcome) return *std::move(outcome);
  return {.out = ErrorJson(version, outcome.error()), .exit_code = 1};
}

}  // namespace heddle::cni
