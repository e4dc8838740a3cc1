#include "lib/tls/peer_verifier.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/x509.h>

#include <algorithm>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/tls/library_error.h"

namespace heddle::tls {
namespace {

using Kind = Refusal::Kind;
using Chain = std::vector<bssl::UniquePtr<X509>>;

// Intermediates between leaf and root that we follow. Meshes have one or two.
constexpr int kMaxChainDepth = 6;

Unexpected<Refusal> Refuse(Kind kind, std::string sentence) {
  return Unexpected<Refusal>({kind, std::move(sentence)});
}

Result<Chain, Refusal> ParseChain(std::span<const std::string_view> ders) {
  if (ders.empty()) return Refuse(Kind::kBadCertificate, "the peer presented no certificate");
  if (ders.size() > kMaxPeerCertificates) {
    return Refuse(Kind::kBadCertificate,
                  absl::StrCat("the peer presented ", ders.size(), " certificates, and ",
                               kMaxPeerCertificates, " are allowed"));
  }
  Chain chain;
  for (std::string_view der : ders) {
    bssl::UniquePtr<CRYPTO_BUFFER> buffer(
        CRYPTO_BUFFER_new(reinterpret_cast<const uint8_t*>(der.data()), der.size(), nullptr));
    CHECK(buffer != nullptr);
    chain.emplace_back(X509_parse_from_buffer(buffer.get()));
    if (chain.back() == nullptr) {
      return Refuse(Kind::kBadCertificate,
                    absl::StrCat("certificate ", chain.size(),
                                 " of the peer's chain is malformed: ", TakeLibraryError()));
    }
  }
  return chain;
}

std::string Describe(const X509* x509, int depth) {
  const auto certificate = x509 == nullptr ? absl::NotFoundError("") : Certificate::FromX509(x509);
  if (!certificate.ok()) return absl::StrCat("the certificate at depth ", depth);
  if (depth == 0)
    return absl::StrCat("the peer's certificate (serial ", certificate->serial(), ")");
  return absl::StrCat("the issuing certificate \"", certificate->subject(), "\"");
}

std::string TimeText(const ASN1_TIME* time) {
  int64_t seconds = 0;
  if (!ASN1_TIME_to_posix(time, &seconds)) return "an unreadable time";
  return absl::FormatTime(absl::RFC3339_sec, absl::FromUnixSeconds(seconds), absl::UTCTimeZone());
}

Refusal ChainRefusal(X509_STORE_CTX* context, const TrustRoots& roots) {
  const int error = X509_STORE_CTX_get_error(context);
  const X509* at = X509_STORE_CTX_get_current_cert(context);
  const std::string which = Describe(at, X509_STORE_CTX_get_error_depth(context));
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return {Kind::kExpired,
              absl::StrCat(which, " expired at ", TimeText(X509_get0_notAfter(at)))};
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return {Kind::kExpired,
              absl::StrCat(which, " is not valid before ", TimeText(X509_get0_notBefore(at)),
                           "; compare the clocks of the two machines")};
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return {
          Kind::kUnknownAuthority,
          absl::StrCat("the peer's chain does not end in one of the ", roots.certificates().size(),
                       " trusted roots: no trusted issuer for ", which)};
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return {Kind::kBadCertificate,
              absl::StrCat("the signature on ", which, " is not its issuer's")};
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
      return {Kind::kBadCertificate, absl::StrCat(which, " may not issue certificates")};
    default:
      return {Kind::kBadCertificate,
              absl::StrCat(which, " was refused: ", X509_verify_cert_error_string(error))};
  }
}

// From when until when every certificate of a chain is valid.
struct Window {
  absl::Time from = absl::InfinitePast();
  absl::Time until = absl::InfiniteFuture();
};

Window WindowOf(const X509_STORE_CTX* context) {
  Window window;
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context);
  for (size_t i = 0; i < sk_X509_num(chain); ++i) {
    const X509* certificate = sk_X509_value(chain, i);
    int64_t from = 0;
    int64_t until = 0;
    CHECK(ASN1_TIME_to_posix(X509_get0_notBefore(certificate), &from) &&
          ASN1_TIME_to_posix(X509_get0_notAfter(certificate), &until));  // They were compared with.
    window.from = std::max(window.from, absl::FromUnixSeconds(from));
    window.until = std::min(window.until, absl::FromUnixSeconds(until));
  }
  return window;
}

Result<Window, Refusal> VerifyChain(const TrustRoots& roots, const Chain& chain, PeerRole role,
                                    absl::Time now) {
  bssl::UniquePtr<STACK_OF(X509)> untrusted(sk_X509_new_null());
  bssl::UniquePtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
  CHECK(untrusted && context);
  for (const auto& certificate : std::span(chain).subspan(1)) {
    CHECK(bssl::PushToStack(untrusted.get(), bssl::UpRef(certificate)));
  }
  CHECK(X509_STORE_CTX_init(context.get(), roots.store(), chain.front().get(), untrusted.get()));
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time_posix(param, absl::ToUnixSeconds(now));
  X509_VERIFY_PARAM_set_depth(param, kMaxChainDepth);
  // What the roots' file says is trusted is trusted, self-signed or not.
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  CHECK(X509_VERIFY_PARAM_set_purpose(
      param, role == PeerRole::kClient ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER));
  const bool verified = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  if (!verified) return Unexpected<Refusal>(ChainRefusal(context.get(), roots));
  return WindowOf(context.get());
}

// Usages that are absent allow everything (RFC 5280 section 4.2.1.3); BoringSSL reports those as
// all bits set.
Result<void, Refusal> CheckUsage(X509* leaf, PeerRole role) {
  if ((X509_get_extension_flags(leaf) & EXFLAG_CA) != 0) {
    return Refuse(
        Kind::kWrongUsage,
        "the peer's certificate is one of a certificate authority, which is nobody's identity");
  }
  if ((X509_get_key_usage(leaf) & X509v3_KU_DIGITAL_SIGNATURE) == 0) {
    return Refuse(Kind::kWrongUsage,
                  "the peer's certificate has a keyUsage without digitalSignature");
  }
  const uint32_t wanted = role == PeerRole::kClient ? XKU_SSL_CLIENT : XKU_SSL_SERVER;
  if ((X509_get_extended_key_usage(leaf) & (wanted | XKU_ANYEKU)) == 0) {
    return Refuse(Kind::kWrongUsage,
                  role == PeerRole::kClient
                      ? "the peer's certificate has an extendedKeyUsage without clientAuth"
                      : "the peer's certificate has an extendedKeyUsage without serverAuth");
  }
  return {};
}

Result<void, Refusal> CheckDnsName(X509* leaf, const Certificate& certificate,
                                   const HasDnsName& rule) {
  const auto& names = certificate.subject_alt_names();
  for (const SubjectAltName& name : names) {
    if (name.value.find('\0') == std::string::npos) continue;
    return Refuse(
        Kind::kWrongIdentity,
        absl::StrCat("a name of the peer's certificate contains a NUL byte: ", name.ToString()));
  }
  if (std::ranges::none_of(
          names, [](const auto& name) { return name.type == SubjectAltName::Type::kDns; })) {
    return Refuse(Kind::kWrongIdentity, "the peer's certificate has no DNS name");
  }
  for (const std::string& name : rule.names) {
    const bool match = X509_check_host(leaf, name.data(), name.size(),
                                       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
    ERR_clear_error();
    if (match) return {};
  }
  return Refuse(Kind::kWrongIdentity,
                absl::StrCat("the peer's certificate is for ", names.front().ToString(),
                             names.size() > 1 ? " and others" : "", ", not for ",
                             rule.names.empty() ? "anybody" : rule.names.front()));
}

// A DNS name that reads like the address is not the address.
Result<void, Refusal> CheckIpAddress(X509* leaf, const Certificate& certificate,
                                     const HasIpAddress& rule) {
  const auto bytes = rule.address.native_bytes();
  const bool match = X509_check_ip(leaf, bytes.data(), bytes.size(), 0) == 1;
  ERR_clear_error();
  if (match) return {};
  const auto& names = certificate.subject_alt_names();
  return Refuse(Kind::kWrongIdentity,
                absl::StrCat("the peer's certificate is for ",
                             names.empty() ? "nobody" : names.front().ToString(),
                             names.size() > 1 ? " and others" : "", ", not for the address ",
                             rule.address.ToString()));
}

// A leaf whose chain was verified.
struct Leaf {
  Chain chain;
  Certificate certificate;
  Window window;
  X509* x509() const { return chain.front().get(); }
};

Result<Leaf, Refusal> VerifyLeaf(const TrustRoots& roots, PeerRole peer_role,
                                 std::span<const std::string_view> ders, absl::Time now) {
  TRY(Chain chain, ParseChain(ders));
  auto certificate = Certificate::FromX509(chain.front().get());
  if (!certificate.ok())
    return Refuse(Kind::kBadCertificate, std::string(ToStd(certificate.status().message())));
  TRY_VOID(CheckUsage(chain.front().get(), peer_role));
  TRY(const Window window, VerifyChain(roots, chain, peer_role, now));
  return Leaf{std::move(chain), *std::move(certificate), window};
}

}  // namespace

Result<VerifiedChain, Refusal> VerifySpiffeChain(const TrustRoots& roots, PeerRole peer_role,
                                                 std::span<const std::string_view> ders,
                                                 absl::Time now) {
  TRY(const Leaf leaf, VerifyLeaf(roots, peer_role, ders, now));
  auto identity = ClaimedSpiffeId(leaf.certificate);
  if (!identity.ok())
    return Refuse(Kind::kWrongIdentity, std::string(ToStd(identity.status().message())));
  return VerifiedChain{.identity = *std::move(identity),
                       .serial = leaf.certificate.serial(),
                       .not_after = leaf.certificate.not_after(),
                       .valid_from = leaf.window.from,
                       .valid_until = leaf.window.until};
}

Result<VerifiedPeer, Refusal> AdmitIdentity(const VerifiedChain& chain, const PeerRule& rule) {
  const auto* domain = std::get_if<AnyInTrustDomain>(&rule);
  const auto* expected = std::get_if<OneOfIdentities>(&rule);
  CHECK(domain != nullptr || expected != nullptr);
  const SpiffeId& identity = chain.identity;
  if (domain != nullptr && identity.trust_domain() != domain->trust_domain) {
    return Refuse(Kind::kWrongIdentity,
                  absl::StrCat("the peer is ", identity.ToString(),
                               ", which is not of the trust domain ", domain->trust_domain));
  }
  if (expected != nullptr &&
      std::ranges::find(expected->identities, identity) == expected->identities.end()) {
    const size_t count = expected->identities.size();
    return Refuse(Kind::kWrongIdentity,
                  absl::StrCat("the peer is ", identity.ToString(), ", and expected was ",
                               count == 0 ? "nobody" : expected->identities.front().ToString(),
                               count > 1 ? absl::StrCat(" or one of ", count - 1, " others") : ""));
  }
  return VerifiedPeer{.identity = identity, .serial = chain.serial, .not_after = chain.not_after};
}

Result<VerifiedPeer, Refusal> VerifyPeer(const TrustRoots& roots, const PeerRule& rule,
                                         PeerRole peer_role, std::span<const std::string_view> ders,
                                         absl::Time now) {
  if (std::holds_alternative<NoCertificate>(rule)) return VerifiedPeer{};
  const auto* dns = std::get_if<HasDnsName>(&rule);
  const auto* address = std::get_if<HasIpAddress>(&rule);
  if (dns == nullptr && address == nullptr) {
    TRY(const VerifiedChain chain, VerifySpiffeChain(roots, peer_role, ders, now));
    return AdmitIdentity(chain, rule);
  }
  TRY(const Leaf leaf, VerifyLeaf(roots, peer_role, ders, now));
  if (dns != nullptr) TRY_VOID(CheckDnsName(leaf.x509(), leaf.certificate, *dns));
  if (address != nullptr) TRY_VOID(CheckIpAddress(leaf.x509(), leaf.certificate, *address));
  return VerifiedPeer{.serial = leaf.certificate.serial(),
                      .not_after = leaf.certificate.not_after()};
}

}  // namespace heddle::tls
