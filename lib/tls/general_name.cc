#include "lib/tls/general_name.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>

#include "lib/base/check.h"
#include "lib/base/status.h"

namespace heddle::tls {
namespace {

// The bytes that stand in the certificate: for an address its four or sixteen, else the text
// itself.
absl::StatusOr<std::string> WireBytes(const SubjectAltName& name) {
  if (name.type != SubjectAltName::Type::kIp) return name.value;
  std::string bytes(16, '\0');
  if (inet_pton(AF_INET6, name.value.c_str(), bytes.data()) == 1) return bytes;
  bytes.resize(4);
  if (inet_pton(AF_INET, name.value.c_str(), bytes.data()) == 1) return bytes;
  return absl::InvalidArgumentError(absl::StrCat("not an IP address: ", name.ToString()));
}

absl::StatusOr<int> WireType(const SubjectAltName& name) {
  switch (name.type) {
    case SubjectAltName::Type::kDns: return GEN_DNS;
    case SubjectAltName::Type::kUri: return GEN_URI;
    case SubjectAltName::Type::kIp: return GEN_IPADD;
    case SubjectAltName::Type::kEmail: return GEN_EMAIL;
    case SubjectAltName::Type::kOther: break;
  }
  return absl::InvalidArgumentError("cannot write a name of a type that is not known here");
}

}  // namespace

absl::StatusOr<bssl::UniquePtr<GENERAL_NAMES>> MakeGeneralNames(
    std::span<const SubjectAltName> names) {
  bssl::UniquePtr<GENERAL_NAMES> list(sk_GENERAL_NAME_new_null());
  CHECK(list != nullptr);
  for (const SubjectAltName& name : names) {
    TRY_ASSIGN(const int type, WireType(name));
    TRY_ASSIGN(const std::string bytes, WireBytes(name));
    bssl::UniquePtr<GENERAL_NAME> entry(GENERAL_NAME_new());
    bssl::UniquePtr<ASN1_STRING> value(
        ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING));
    CHECK(entry && value &&
          ASN1_STRING_set(value.get(), bytes.data(), static_cast<ossl_ssize_t>(bytes.size())));
    GENERAL_NAME_set0_value(entry.get(), type, value.release());
    CHECK(sk_GENERAL_NAME_push(list.get(), entry.release()));
  }
  return list;
}

}  // namespace heddle::tls
