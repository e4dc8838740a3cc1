#include "lib/cni/network_config.h"

#include <optional>

#include "lib/cni/invocation.h"

namespace heddle::cni {
namespace {

using Members = std::vector<JsonMember>;

std::unexpected<Error> Invalid(std::string msg) {
  return std::unexpected(Error{.code = ErrorCode::kInvalidConfig, .msg = std::move(msg)});
}

// An absent key and null leave `out` as it is.
CniResult<void> ReadString(const Members& members, std::string_view key, std::string& out) {
  const JsonValue* value = FindMember(members, key);
  if (value == nullptr || value->kind == JsonKind::kNull) return {};
  std::optional<std::string> text = JsonString(*value);
  if (!text) return Invalid("\"" + std::string(key) + "\" must be a string");
  out = *std::move(text);
  return {};
}

CniResult<void> ReadNamespaces(const Members& members, std::vector<std::string>& out) {
  const JsonValue* value = FindMember(members, "exemptNamespaces");
  if (value == nullptr || value->kind == JsonKind::kNull) return {};
  const auto items = JsonItems(*value);
  if (!items) return Invalid("\"exemptNamespaces\" must be a list of names");
  for (const JsonValue& item : *items) {
    const auto name = JsonString(item);
    if (!name || !IsObjectName(*name)) return Invalid("\"exemptNamespaces\" must be a list of names");
    out.push_back(*name);
  }
  return {};
}

CniResult<Attachment> ReadAttachment(const JsonValue& value) {
  const auto members = JsonMembers(value);
  if (!members) return Invalid("an entry of \"cni.dev/valid-attachments\" is not an object");
  Attachment attachment;
  TRY_VOID(ReadString(*members, "containerID", attachment.container_id));
  TRY_VOID(ReadString(*members, "ifname", attachment.ifname));
  if (!IsContainerId(attachment.container_id) || !IsInterfaceName(attachment.ifname)) {
    return Invalid("an entry of \"cni.dev/valid-attachments\" lacks containerID or ifname");
  }
  return attachment;
}

CniResult<void> ReadAttachments(const Members& members, std::vector<Attachment>& out) {
  const JsonValue* value = FindMember(members, "cni.dev/valid-attachments");
  if (value == nullptr || value->kind == JsonKind::kNull) return {};
  const auto items = JsonItems(*value);
  if (!items) return Invalid("\"cni.dev/valid-attachments\" must be a list");
  for (const JsonValue& item : *items) {
    TRY(Attachment attachment, ReadAttachment(item));
    out.push_back(std::move(attachment));
  }
  return {};
}

CniResult<void> CheckPaths(NetworkConfig& config) {
  if (!config.run_dir.starts_with('/')) return Invalid("\"runDir\" must be an absolute path");
  if (config.socket.empty()) config.socket = config.run_dir + "/cni.sock";
  if (!config.socket.starts_with('/') || config.socket.size() > kMaxSocketPathBytes) {
    return Invalid("\"socket\" must be an absolute path of at most 107 bytes");
  }
  if (config.socket.find('\0') != std::string::npos || config.run_dir.find('\0') != std::string::npos) {
    return Invalid("a path contains a NUL byte");
  }
  return {};
}

}  // namespace

CniResult<NetworkConfig> ParseNetworkConfig(std::string_view text) {
  const auto document = ParseJson(text);
  const auto members = document ? JsonMembers(*document) : std::nullopt;
  if (!members) {
    return std::unexpected(Error{.code = ErrorCode::kDecode,
                                 .msg = "the network configuration on standard input is not a JSON object"});
  }
  NetworkConfig config;
  TRY_VOID(ReadString(*members, "cniVersion", config.cni_version));
  TRY_VOID(ReadString(*members, "name", config.network));
  TRY_VOID(ReadString(*members, "runDir", config.run_dir));
  TRY_VOID(ReadString(*members, "socket", config.socket));
  TRY_VOID(ReadNamespaces(*members, config.exempt_namespaces));
  TRY_VOID(ReadAttachments(*members, config.valid_attachments));
  TRY_VOID(CheckPaths(config));
  const JsonValue* prev_result = FindMember(*members, "prevResult");
  if (prev_result != nullptr && prev_result->kind != JsonKind::kNull) {
    if (prev_result->kind != JsonKind::kObject) return Invalid("\"prevResult\" must be an object");
    config.has_prev_result = true;
    config.prev_result = *prev_result;
  }
  return config;
}

}  // namespace heddle::cni
