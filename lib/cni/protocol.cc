#include "lib/cni/protocol.h"

#include <arpa/inet.h>

#include <optional>

#include "lib/cni/json.h"
#include "lib/cni/prev_result.h"

namespace heddle::cni {
namespace {

using Members = std::vector<JsonMember>;

std::unexpected<Error> Fail(ErrorCode code, std::string_view msg) {
  return std::unexpected(Error{.code = code, .msg = std::string(msg)});
}

void AppendMember(std::string& json, std::string_view key, std::string_view value) {
  json += ',';
  json += QuoteJson(key);
  json += ':';
  json += QuoteJson(value);
}

std::string EncodeAttachments(const std::vector<Attachment>& attachments) {
  std::string json = "[";
  for (const Attachment& attachment : attachments) {
    if (json.size() > 1) json += ',';
    json += "{\"containerId\":" + QuoteJson(attachment.container_id);
    AppendMember(json, "ifname", attachment.ifname);
    json += '}';
  }
  return json + ']';
}

bool IsAddress(const std::string& text) {
  in6_addr binary{};
  return inet_pton(AF_INET, text.c_str(), &binary) == 1 || inet_pton(AF_INET6, text.c_str(), &binary) == 1;
}

// A string that is not longer than it may be; absent counts as empty.
bool TakeString(const Members& members, std::string_view key, size_t bytes_max, std::string& out) {
  const JsonValue* value = FindMember(members, key);
  if (value == nullptr) return true;
  auto text = JsonString(*value);
  if (!text || text->size() > bytes_max || text->find('\0') != std::string::npos) return false;
  out = *std::move(text);
  return true;
}

// Opens the message as an object of our version.
CniResult<Members> OpenMessage(std::string_view message) {
  if (message.size() > kMaxMessageBytes) return Fail(ErrorCode::kDecode, "the message is longer than 64 KiB");
  const auto document = ParseJson(message);
  auto members = document ? JsonMembers(*document) : std::nullopt;
  if (!members) return Fail(ErrorCode::kDecode, "the message is not a JSON object");
  const JsonValue* version = FindMember(*members, "v");
  const auto number = version != nullptr ? JsonInteger(*version) : std::nullopt;
  if (!number) return Fail(ErrorCode::kDecode, "the message has no version");
  if (*number != kProtocolVersion) {
    return Fail(ErrorCode::kIncompatibleVersion,
                "plugin and agent speak different versions of their protocol; install both from the same release");
  }
  return *std::move(members);
}

bool TakePod(const Members& members, PodReference& pod) {
  const JsonValue* value = FindMember(members, "pod");
  if (value == nullptr) return true;
  const auto inner = JsonMembers(*value);
  return inner && TakeString(*inner, "namespace", kMaxNameBytes, pod.pod_namespace) &&
         TakeString(*inner, "name", kMaxNameBytes, pod.name) && TakeString(*inner, "uid", kMaxNameBytes, pod.uid) &&
         (pod.pod_namespace.empty() || IsObjectName(pod.pod_namespace)) &&
         (pod.name.empty() || IsObjectName(pod.name)) && (pod.uid.empty() || IsPodUid(pod.uid));
}

bool TakeAddresses(const Members& members, std::vector<std::string>& ips) {
  const JsonValue* value = FindMember(members, "ips");
  if (value == nullptr) return true;
  const auto items = JsonItems(*value);
  if (!items || items->size() > kMaxAddresses) return false;
  for (const JsonValue& item : *items) {
    auto text = JsonString(item);
    if (!text || text->find('\0') != std::string::npos || !IsAddress(*text)) return false;
    ips.push_back(*std::move(text));
  }
  return true;
}

bool TakeAttachments(const Members& members, std::vector<Attachment>& attachments) {
  const JsonValue* value = FindMember(members, "attachments");
  if (value == nullptr) return true;
  const auto items = JsonItems(*value);
  if (!items || items->size() > kMaxAttachments) return false;
  for (const JsonValue& item : *items) {
    Attachment attachment;
    const auto inner = JsonMembers(item);
    if (!inner || !TakeString(*inner, "containerId", kMaxContainerIdBytes, attachment.container_id) ||
        !TakeString(*inner, "ifname", kMaxInterfaceNameBytes, attachment.ifname) ||
        !IsContainerId(attachment.container_id) || !IsInterfaceName(attachment.ifname)) {
      return false;
    }
    attachments.push_back(std::move(attachment));
  }
  return true;
}

// What the command cannot do without.
bool HasWhatItNeeds(const Request& request) {
  switch (request.command) {
    case Command::kAdd:
    case Command::kCheck:
      return IsContainerId(request.container_id) && IsInterfaceName(request.ifname) && request.netns.starts_with('/');
    case Command::kDel:
      return IsContainerId(request.container_id) && IsInterfaceName(request.ifname);
    case Command::kGc:
    case Command::kStatus:
      return true;
    case Command::kVersion:
      return false;  // Answered by the plugin alone.
  }
  return false;
}

}  // namespace

bool CarriesNetns(Command command) { return command == Command::kAdd || command == Command::kCheck; }

CniResult<std::string> EncodeRequest(const Request& request) {
  std::string json = "{\"v\":" + std::to_string(kProtocolVersion);
  AppendMember(json, "command", CommandName(request.command));
  AppendMember(json, "containerId", request.container_id);
  AppendMember(json, "netns", request.netns);
  AppendMember(json, "ifname", request.ifname);
  AppendMember(json, "network", request.network);
  json += ",\"pod\":{\"namespace\":" + QuoteJson(request.pod.pod_namespace);
  AppendMember(json, "name", request.pod.name);
  AppendMember(json, "uid", request.pod.uid);
  json += "},\"ips\":[";
  for (size_t i = 0; i < request.ips.size(); ++i) json += (i == 0 ? "" : ",") + QuoteJson(request.ips[i]);
  json += "],\"attachments\":" + EncodeAttachments(request.attachments) + '}';
  if (json.size() > kMaxMessageBytes) return Fail(ErrorCode::kIo, "the request is too long for the agent's socket");
  return json;
}

CniResult<Request> DecodeRequest(std::string_view message) {
  TRY(const Members members, OpenMessage(message));
  Request request;
  std::string command;
  if (!TakeString(members, "command", 16, command)) return Fail(ErrorCode::kBadEnvironment, "malformed command");
  const auto known = ParseCommand(command);
  if (!known) return Fail(ErrorCode::kBadEnvironment, "unknown command");
  request.command = *known;
  if (!TakeString(members, "containerId", kMaxContainerIdBytes, request.container_id) ||
      !TakeString(members, "netns", kMaxPathBytes, request.netns) ||
      !TakeString(members, "ifname", kMaxInterfaceNameBytes, request.ifname) ||
      !TakeString(members, "network", kMaxPathBytes, request.network)) {
    return Fail(ErrorCode::kBadEnvironment, "container id, netns, ifname or network is malformed");
  }
  if (!TakePod(members, request.pod)) return Fail(ErrorCode::kBadEnvironment, "the pod's names are malformed");
  if (!TakeAddresses(members, request.ips)) return Fail(ErrorCode::kBadEnvironment, "an address is malformed");
  if (!TakeAttachments(members, request.attachments)) {
    return Fail(ErrorCode::kBadEnvironment, "the list of attachments is malformed or too long");
  }
  if (!HasWhatItNeeds(request)) return Fail(ErrorCode::kBadEnvironment, "the command lacks what it needs");
  return request;
}

std::string EncodeReply(const Reply& reply) {
  std::string json = "{\"v\":" + std::to_string(kProtocolVersion) + ",\"code\":" + std::to_string(reply.code);
  AppendMember(json, "msg", std::string_view(reply.msg).substr(0, kMaxReplyTextBytes));
  AppendMember(json, "details", std::string_view(reply.details).substr(0, kMaxReplyTextBytes));
  return json + '}';
}

CniResult<Reply> DecodeReply(std::string_view message) {
  TRY(const Members members, OpenMessage(message));
  Reply reply;
  const JsonValue* code = FindMember(members, "code");
  const auto number = code != nullptr ? JsonInteger(*code) : std::nullopt;
  // A cut sentence may have grown by replacement characters, three bytes for one.
  if (!number || *number < 0 || !TakeString(members, "msg", 3 * kMaxReplyTextBytes, reply.msg) ||
      !TakeString(members, "details", 3 * kMaxReplyTextBytes, reply.details)) {
    return Fail(ErrorCode::kDecode, "the agent's answer is malformed");
  }
  reply.code = *number;
  return reply;
}

}  // namespace heddle::cni
