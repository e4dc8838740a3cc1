#include "agent/node/capture_record.h"

#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/file.h"
#include "lib/cni/invocation.h"

namespace heddle::agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kSuffix[] = ".json";

absl::Status ErrnoStatus(std::string_view what, const std::string& path) {
  return absl::InternalError(
      absl::StrCat(std::string(what), " ", path, ": ", std::strerror(errno)));
}

CaptureRecord FromJson(const Json& json) {
  CaptureRecord record;
  record.uid = json.at("uid");
  record.namespace_name = json.at("namespace");
  record.name = json.at("name");
  record.service_account = json.at("serviceAccount");
  record.trust_domain = json.at("trustDomain");
  record.workload_uid = json.at("workloadUid");
  record.container_id = json.at("containerId");
  record.network = json.at("network");
  record.ifname = json.at("ifname");
  record.netns_path = json.at("netnsPath");
  record.netns.device = json.at("netnsDevice");
  record.netns.inode = json.at("netnsInode");
  record.netns_cookie = json.at("netnsCookie");
  for (const std::string text : json.at("addresses")) {
    if (const auto address = io::IpAddress::Parse(text)) record.addresses.push_back(*address);
  }
  record.sysctls_before = json.at("sysctlsBefore").get<Sysctls>();
  record.captured_unix_ns = json.at("capturedUnixNs");
  return record;
}

}  // namespace

std::string EncodeCaptureRecord(const CaptureRecord& record) {
  Json json;
  json["uid"] = record.uid;
  json["namespace"] = record.namespace_name;
  json["name"] = record.name;
  json["serviceAccount"] = record.service_account;
  json["trustDomain"] = record.trust_domain;
  json["workloadUid"] = record.workload_uid;
  json["containerId"] = record.container_id;
  json["network"] = record.network;
  json["ifname"] = record.ifname;
  json["netnsPath"] = record.netns_path;
  json["netnsDevice"] = record.netns.device;
  json["netnsInode"] = record.netns.inode;
  json["netnsCookie"] = record.netns_cookie;
  json["addresses"] = Json::array();
  for (const io::IpAddress& address : record.addresses)
    json["addresses"].push_back(address.ToString());
  json["sysctlsBefore"] = record.sysctls_before;
  json["capturedUnixNs"] = record.captured_unix_ns;
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<CaptureRecord> DecodeCaptureRecord(std::string_view text) {
  try {
    CaptureRecord record = FromJson(Json::parse(text));
    if (!cni::IsPodUid(record.uid)) return absl::InvalidArgumentError("uid is not a pod UID");
    return record;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

absl::StatusOr<CaptureRecordStore> CaptureRecordStore::Open(std::string directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return ErrnoStatus("create directory", directory);
  return CaptureRecordStore(std::move(directory));
}

std::string CaptureRecordStore::PathOf(std::string_view uid) const {
  return absl::StrCat(directory_, "/", std::string(uid), kSuffix);
}

absl::Status CaptureRecordStore::Save(const CaptureRecord& record) {
  if (!cni::IsPodUid(record.uid)) return absl::InvalidArgumentError("uid is not a pod UID");
  return ReplaceFile(PathOf(record.uid), EncodeCaptureRecord(record), Durability::kProcessCrash);
}

absl::Status CaptureRecordStore::Remove(std::string_view uid) {
  if (!cni::IsPodUid(uid)) return absl::InvalidArgumentError("uid is not a pod UID");
  const std::string path = PathOf(uid);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus("remove", path);
  return absl::OkStatus();
}

std::vector<CaptureRecord> CaptureRecordStore::Load(std::vector<std::string>& unreadable) const {
  std::vector<CaptureRecord> records;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory_, error);
  // Not a range-for, whose increment throws.
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::filesystem::path path = entry->path();
    if (path.extension() != kSuffix) continue;
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    auto record = DecodeCaptureRecord(text.str());
    if (record.ok()) {
      records.push_back(*std::move(record));
    } else {
      unreadable.push_back(
          absl::StrCat(path.string(), ": ", std::string(record.status().message())));
    }
  }
  if (error) unreadable.push_back(absl::StrCat(directory_, ": ", error.message()));
  return records;
}

}  // namespace heddle::agent
