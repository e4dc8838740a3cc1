#include "bench/agents/response_scan.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "proto/discovery.pb.h"

namespace heddle::bench {
namespace {

namespace wire = envoy::service::discovery::v3;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// The bytes of the next length-delimited field, in place.
bool ReadPiece(CodedInputStream& in, std::string_view bytes, std::string_view& piece) {
  uint32_t size = 0;
  if (!in.ReadVarint32(&size)) return false;
  const auto at = static_cast<size_t>(in.CurrentPosition());
  if (size > bytes.size() - at || !in.Skip(static_cast<int>(size))) return false;
  piece = bytes.substr(at, size);
  return true;
}

// Calls visit(field, piece) for each length-delimited field; others are skipped.
template <typename Visit>
bool ForEachPiece(std::string_view bytes, Visit visit) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  while (const uint32_t tag = in.ReadTag()) {
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      if (!WireFormatLite::SkipField(&in, tag)) return false;
      continue;
    }
    std::string_view piece;
    if (!ReadPiece(in, bytes, piece) || !visit(WireFormatLite::GetTagFieldNumber(tag), piece))
      return false;
  }
  return in.ConsumedEntireMessage();
}

bool IsNamed(std::string_view resource, std::string_view name) {
  bool is = false;
  const bool read = ForEachPiece(resource, [&](int field, std::string_view piece) {
    if (field == wire::Resource::kNameFieldNumber) is = piece == name;
    return true;
  });
  return read && is;
}

}  // namespace

absl::StatusOr<ScannedResponse> ScanResponse(std::string_view bytes, std::string_view name) {
  ScannedResponse scanned;
  const bool read = ForEachPiece(bytes, [&](int field, std::string_view piece) {
    if (field == wire::DeltaDiscoveryResponse::kTypeUrlFieldNumber) scanned.type_url = piece;
    if (field == wire::DeltaDiscoveryResponse::kNonceFieldNumber) scanned.nonce = piece;
    if (field != wire::DeltaDiscoveryResponse::kResourcesFieldNumber) return true;
    ++scanned.resources;
    if (name.empty() || !IsNamed(piece, name)) return true;
    wire::Resource resource;
    if (!resource.ParseFromArray(piece.data(), static_cast<int>(piece.size()))) return false;
    scanned.found = resource.resource().value();
    return true;
  });
  if (!read) return absl::InvalidArgumentError("not a DeltaDiscoveryResponse");
  return scanned;
}

}  // namespace heddle::bench
