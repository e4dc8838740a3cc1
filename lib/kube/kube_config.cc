#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>

#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/kube/cluster_access.h"

namespace heddle::kube {
namespace {

constexpr size_t kMaxEntries = 1000;   // Of each of its lists.
constexpr size_t kMaxNameBytes = 256;  // Of what is repeated in a message.

// Null when it is absent; yaml-cpp's own answer to that throws at most questions.
YAML::Node Field(const YAML::Node& map, const char* key) {
  const YAML::Node value = map[key];
  return value.IsDefined() ? value : YAML::Node();
}

// The text of a field that must be a scalar; empty when it is absent.
absl::StatusOr<std::string> Text(const YAML::Node& map, const std::string& place, const char* key) {
  const YAML::Node value = Field(map, key);
  if (value.IsNull()) return std::string();
  if (!value.IsScalar())
    return absl::InvalidArgumentError(absl::StrCat(place, ".", key, " must be text"));
  return value.Scalar();
}

// The entry of a list of {name: ..., <field>: {...}}.
absl::StatusOr<YAML::Node> Named(const YAML::Node& config, const char* list, const char* field,
                                 const std::string& name) {
  const YAML::Node entries = Field(config, list);
  if (entries.IsSequence() && entries.size() > kMaxEntries) {
    return absl::InvalidArgumentError(
        absl::StrCat(list, " has more than ", kMaxEntries, " entries"));
  }
  if (entries.IsSequence()) {
    for (const YAML::Node& entry : entries) {
      if (!entry.IsMap()) continue;
      const YAML::Node entry_name = Field(entry, "name");
      if (!entry_name.IsScalar() || entry_name.Scalar() != name) continue;
      if (Field(entry, field).IsMap()) return Field(entry, field);
      return absl::InvalidArgumentError(
          absl::StrCat(list, " '", name, "' has no '", field, "' with fields"));
    }
  }
  return absl::NotFoundError(
      absl::StrCat("there is no '", name.substr(0, kMaxNameBytes), "' among its ", list));
}

absl::Status Refuse(const YAML::Node& map, const std::string& place, const char* key,
                    const char* why) {
  const YAML::Node value = Field(map, key);
  if (value.IsNull()) return absl::OkStatus();
  if (value.IsScalar() && (value.Scalar().empty() || value.Scalar() == "false"))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(place, ".", key, " is not supported: ", why));
}

// <key>-data, base64 and the stronger of the two, or <key>, a file.
absl::StatusOr<Material> ReadMaterial(const YAML::Node& map, const std::string& place,
                                      const std::string& key, const std::string& directory) {
  const std::string data_key = key + "-data";
  TRY_ASSIGN(const std::string encoded, Text(map, place, data_key.c_str()));
  if (!encoded.empty()) {
    Material material;
    if (!absl::Base64Unescape(encoded, &material.data) || material.data.empty())
      return absl::InvalidArgumentError(absl::StrCat(place, ".", data_key, " is not base64"));
    return material;
  }
  TRY_ASSIGN(const std::string file, Text(map, place, key.c_str()));
  if (file.empty()) return Material{};
  return Material{.file = (std::filesystem::path(directory) / file).string()};
}

absl::Status ReadServer(const std::string& place, std::string server, ClusterAccess& access) {
  const auto refuse = [&](const char* why) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, ".server: '", server.substr(0, kMaxNameBytes), "' ", why));
  };
  constexpr std::string_view kScheme = "https://";
  if (!server.starts_with(kScheme)) return refuse("does not begin with https://");
  std::string_view rest = std::string_view(server).substr(kScheme.size());
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    access.path_prefix = std::string(rest.substr(slash));
    while (access.path_prefix.ends_with('/')) access.path_prefix.pop_back();
    rest = rest.substr(0, slash);
  }
  if (access.path_prefix.find_first_of("?# ") != std::string::npos)
    return refuse("has more than a path behind its host");
  std::string_view port;
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == std::string_view::npos) return refuse("has a bracket without its other");
    port = rest.substr(end + 1);
    access.host = std::string(rest.substr(1, end - 1));
  } else {
    const size_t colon = std::min(rest.find(':'), rest.size());
    port = rest.substr(colon);
    access.host = std::string(rest.substr(0, colon));
  }
  const bool odd = access.host.find_first_of("@?# \\%") != std::string::npos;
  if (access.host.empty() || odd) return refuse("has no usable host");
  uint32_t number = 443;
  if (!port.empty() &&
      (!port.starts_with(':') || !absl::SimpleAtoi(ToAbsl(port.substr(1)), &number) ||
       number == 0 || number > 65535))
    return refuse("has no usable port");
  access.port = static_cast<uint16_t>(number);
  return absl::OkStatus();
}

absl::Status ReadCluster(const YAML::Node& cluster, const std::string& place,
                         const std::string& directory, ClusterAccess& access) {
  TRY_STATUS(Refuse(cluster, place, "insecure-skip-tls-verify",
                    "it would trust anybody; give certificate-authority-data"));
  TRY_STATUS(Refuse(cluster, place, "proxy-url", "the API server is dialled directly"));
  TRY_ASSIGN(std::string server, Text(cluster, place, "server"));
  TRY_STATUS(ReadServer(place, std::move(server), access));
  TRY_ASSIGN(access.server_name, Text(cluster, place, "tls-server-name"));
  if (access.server_name.empty()) access.server_name = access.host;
  TRY_ASSIGN(access.roots, ReadMaterial(cluster, place, "certificate-authority", directory));
  if (access.roots.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, " has no certificate-authority and no certificate-authority-data"));
  }
  return absl::OkStatus();
}

absl::Status ReadUser(const YAML::Node& user, const std::string& place,
                      const std::string& directory, ClusterAccess& access) {
  constexpr char kGive[] = "give a token, or a client certificate and key";
  for (const char* key : {"exec", "auth-provider", "username", "password"})
    TRY_STATUS(Refuse(user, place, key, kGive));
  for (const char* key : {"as", "as-uid", "as-groups", "as-user-extra"})
    TRY_STATUS(Refuse(user, place, key, "nobody is impersonated"));
  TRY_ASSIGN(access.client_certificate, ReadMaterial(user, place, "client-certificate", directory));
  TRY_ASSIGN(access.client_key, ReadMaterial(user, place, "client-key", directory));
  if (access.client_certificate.empty() != access.client_key.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, " has only one of client-certificate and client-key"));
  }
  // As client-go: the file wins, because it rotates.
  TRY_ASSIGN(const std::string file, Text(user, place, "tokenFile"));
  TRY_ASSIGN(access.token.data, Text(user, place, "token"));
  if (!file.empty()) access.token = {.file = (std::filesystem::path(directory) / file).string()};
  if (access.token.empty() && access.client_key.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(place, " has no credentials: ", kGive));
  }
  return absl::OkStatus();
}

absl::StatusOr<ClusterAccess> Parse(const YAML::Node& config, const std::string& directory,
                                    std::string name) {
  if (!config.IsMap()) return absl::InvalidArgumentError("it is not a kubeconfig: not a mapping");
  if (name.empty()) {
    TRY_ASSIGN(name, Text(config, "kubeconfig", "current-context"));
  }
  if (name.empty()) return absl::InvalidArgumentError("it has no current-context");
  TRY_ASSIGN(const YAML::Node context, Named(config, "contexts", "context", name));
  const std::string place = absl::StrCat("context '", name.substr(0, kMaxNameBytes), "'");
  TRY_ASSIGN(const std::string cluster_name, Text(context, place, "cluster"));
  TRY_ASSIGN(const std::string user_name, Text(context, place, "user"));
  ClusterAccess access{.origin = place};
  TRY_ASSIGN(access.name_space, Text(context, place, "namespace"));
  TRY_ASSIGN(const YAML::Node cluster, Named(config, "clusters", "cluster", cluster_name));
  TRY_STATUS(ReadCluster(cluster,
                         absl::StrCat("cluster '", cluster_name.substr(0, kMaxNameBytes), "'"),
                         directory, access));
  TRY_ASSIGN(const YAML::Node user, Named(config, "users", "user", user_name));
  TRY_STATUS(ReadUser(user, absl::StrCat("user '", user_name.substr(0, kMaxNameBytes), "'"),
                      directory, access));
  return access;
}

}  // namespace

absl::StatusOr<ClusterAccess> ParseKubeConfig(std::string_view text, const std::string& directory,
                                              std::string_view context) {
  if (text.size() > kMaxMaterialBytes) return absl::InvalidArgumentError("it is larger than 1 MiB");
  // yaml-cpp guesses UTF-16 from the first bytes; no text has a NUL.
  if (text.find('\0') != std::string_view::npos)
    return absl::InvalidArgumentError("it has a NUL byte: only UTF-8 is read");
  try {
    return Parse(YAML::Load(std::string(text)), directory, std::string(context));
  } catch (const YAML::Exception& exception) {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", exception.mark.line + 1, ": ", exception.msg));
  } catch (const std::exception& exception) {
    return absl::InvalidArgumentError(absl::StrCat("it cannot be read: ", exception.what()));
  }
}

absl::StatusOr<ClusterAccess> ReadKubeConfig(const std::string& path, std::string_view context) {
  TRY_ASSIGN(const std::string text, Load({.file = path}, "kubeconfig"));
  const std::string directory = std::filesystem::path(path).parent_path().string();
  absl::StatusOr<ClusterAccess> access = ParseKubeConfig(text, directory, context);
  if (!access.ok()) return Annotate(access.status(), "kubeconfig ", path);
  access->origin = absl::StrCat("kubeconfig ", path, " (", access->origin, ")");
  return access;
}

}  // namespace heddle::kube
