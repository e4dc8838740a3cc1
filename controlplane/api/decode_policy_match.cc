#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <utility>

#include "controlplane/api/decode_kinds.h"

// Where Istio drops what it cannot read, or lets it never match, the policy is refused here: an
// entry that vanishes from a DENY lets through what it should stop, and the last entry that
// vanishes from a list takes the constraint with it.
namespace heddle::controlplane::api {
namespace {

constexpr size_t kMaxServiceAccounts = 16;       // As in Istio's API.
constexpr size_t kMaxServiceAccountBytes = 320;  // As in Istio's API.

// The values of one list, each with the place to blame.
struct Values {
  TreeReader& reader;
  std::string path;
  std::vector<std::string> texts;

  void Fail(std::string_view why) const {
    reader.Fail(reader.line(), absl::StrCat(path, " ", std::string(why)));
  }
};

Values ReadValues(TreeReader& reader, std::string_view field) {
  Values values{reader, reader.PathOf(field), reader.Strings(field)};
  if (values.texts.empty() && reader.Find(field) != nullptr) values.Fail("is an empty list");
  for (const std::string& text : values.texts) {
    if (text.empty()) values.Fail("has an empty entry");
  }
  return values;
}

void ReadPatterns(const Values& values, std::vector<StringPattern>& out) {
  for (const std::string& text : values.texts) {
    const size_t star = text.find('*');
    const bool last = star + 1 == text.size();
    if (star == std::string::npos) {
      out.push_back({StringPattern::Kind::kExact, text});
    } else if (text == "*") {
      out.push_back({StringPattern::Kind::kPresence, ""});
    } else if (star == 0 && text.find('*', 1) == std::string::npos) {
      out.push_back({StringPattern::Kind::kSuffix, text.substr(1)});
    } else if (last) {
      out.push_back({StringPattern::Kind::kPrefix, text.substr(0, star)});
    } else {
      values.Fail("has a '*' that is neither the first nor the last character alone");
    }
  }
}

void ReadPrincipals(const Values& values, std::vector<StringPattern>& out) {
  for (const std::string& text : values.texts) {
    if (text.starts_with("spiffe:"))
      values.Fail("has an entry with \"spiffe://\", which principals are written without");
  }
  ReadPatterns(values, out);
}

// A trust domain is the principal's part before the first '/', so it is matched as a prefix of the
// principal.
void ReadTrustDomains(const Values& values, std::vector<StringPattern>& out) {
  std::vector<StringPattern> patterns;
  ReadPatterns(values, patterns);
  for (StringPattern& pattern : patterns) {
    if (pattern.value.find('/') != std::string::npos) values.Fail("has an entry with a '/'");
    if (pattern.kind == StringPattern::Kind::kSuffix)
      values.Fail("has a suffix match, which is not supported");
    if (pattern.kind == StringPattern::Kind::kExact)
      pattern = {StringPattern::Kind::kPrefix, pattern.value + "/"};
    out.push_back(std::move(pattern));
  }
}

void ReadServiceAccounts(const Values& values, std::string_view name_space,
                         std::vector<NamespacedName>& out) {
  if (values.texts.size() > kMaxServiceAccounts) values.Fail("has more than 16 entries");
  for (const std::string& text : values.texts) {
    const size_t slash = text.find('/');
    NamespacedName account{std::string(name_space), text};
    if (slash != std::string::npos) account = {text.substr(0, slash), text.substr(slash + 1)};
    if (text.size() > kMaxServiceAccountBytes || !IsDnsLabel(account.name_space) ||
        !IsDnsSubdomain(account.name)) {
      values.Fail("has an entry that is not \"account\" or \"namespace/account\"");
    }
    out.push_back(std::move(account));
  }
}

void ReadBlocks(const Values& values, std::vector<io::IpPrefix>& out) {
  for (const std::string& text : values.texts) {
    const std::optional<io::IpPrefix> block = io::IpPrefix::Parse(text);
    if (block.has_value()) {
      out.push_back(*block);
    } else {
      values.Fail("has an entry that is not an IP address or CIDR block");
    }
  }
}

void ReadPorts(const Values& values, std::vector<uint16_t>& out) {
  for (const std::string& text : values.texts) {
    int port = 0;
    if (absl::SimpleAtoi(text, &port) && port >= 1 && port <= 65535) {
      out.push_back(static_cast<uint16_t>(port));
    } else {
      values.Fail("has an entry that is not a port, 1 to 65535");
    }
  }
}

bool ReadHttpOnly(TreeReader& reader, std::initializer_list<std::string_view> fields) {
  bool any = false;
  for (const std::string_view field : fields) any |= !ReadValues(reader, field).texts.empty();
  return any;
}

void FinishMatch(TreeReader& reader, const PolicyMatch& match, std::string_view what) {
  reader.RefuseUnknown();
  if (match.EmptyAtL4() && !match.needs_http) {
    reader.Fail(reader.line(), absl::StrCat(reader.path(), " has no ", std::string(what)));
  }
}

// The values of one condition go to the lists of the match that its key names.
struct ConditionValues {
  Values values;
  Values not_values;
  std::string_view name_space;
};

// False if the key is not one that can be decided without HTTP.
bool ReadL4Condition(std::string_view key, const ConditionValues& c, PolicyMatch& match) {
  if (key == "source.ip") {
    ReadBlocks(c.values, match.source_ips), ReadBlocks(c.not_values, match.not_source_ips);
  } else if (key == "destination.ip") {
    ReadBlocks(c.values, match.destination_ips),
        ReadBlocks(c.not_values, match.not_destination_ips);
  } else if (key == "destination.port") {
    ReadPorts(c.values, match.ports), ReadPorts(c.not_values, match.not_ports);
  } else if (key == "source.namespace") {
    ReadPatterns(c.values, match.namespaces), ReadPatterns(c.not_values, match.not_namespaces);
  } else if (key == "source.principal") {
    ReadPrincipals(c.values, match.principals), ReadPrincipals(c.not_values, match.not_principals);
  } else if (key == "source.trustDomain") {
    ReadTrustDomains(c.values, match.principals),
        ReadTrustDomains(c.not_values, match.not_principals);
  } else if (key == "source.serviceAccount") {
    ReadServiceAccounts(c.values, c.name_space, match.service_accounts);
    ReadServiceAccounts(c.not_values, c.name_space, match.not_service_accounts);
  } else {
    return false;
  }
  return true;
}

bool IsHttpKey(std::string_view key) {
  return key == "remote.ip" || key == "connection.sni" || key == "request.auth.principal" ||
         key == "request.auth.audiences" || key == "request.auth.presenter" ||
         (key.starts_with("request.headers[") && key.ends_with("]")) ||
         (key.starts_with("request.auth.claims[") && key.ends_with("]")) ||
         key.starts_with("experimental.envoy.filters.");
}

}  // namespace

PolicyMatch DecodeSource(TreeReader source, std::string_view name_space) {
  PolicyMatch match;
  const Values domains = ReadValues(source, "trustDomains");
  ReadPrincipals(ReadValues(source, "principals"), match.principals);
  // Both would end up in one list, whose entries are joined by OR.
  if (!match.principals.empty() && !domains.texts.empty())
    domains.Fail("cannot be combined with principals");
  ReadTrustDomains(domains, match.principals);
  ReadPrincipals(ReadValues(source, "notPrincipals"), match.not_principals);
  ReadTrustDomains(ReadValues(source, "notTrustDomains"), match.not_principals);
  ReadPatterns(ReadValues(source, "namespaces"), match.namespaces);
  ReadPatterns(ReadValues(source, "notNamespaces"), match.not_namespaces);
  const Values accounts = ReadValues(source, "serviceAccounts");
  const Values not_accounts = ReadValues(source, "notServiceAccounts");
  const bool by_account = !accounts.texts.empty() || !not_accounts.texts.empty();
  const bool by_name = !match.principals.empty() || !match.not_principals.empty() ||
                       !match.namespaces.empty() || !match.not_namespaces.empty();
  if (by_account && by_name) accounts.Fail("cannot be combined with principals or namespaces");
  ReadServiceAccounts(accounts, name_space, match.service_accounts);
  ReadServiceAccounts(not_accounts, name_space, match.not_service_accounts);
  ReadBlocks(ReadValues(source, "ipBlocks"), match.source_ips);
  ReadBlocks(ReadValues(source, "notIpBlocks"), match.not_source_ips);
  match.needs_http = ReadHttpOnly(
      source, {"remoteIpBlocks", "notRemoteIpBlocks", "requestPrincipals", "notRequestPrincipals"});
  FinishMatch(source, match, "field that says which sources are meant");
  return match;
}

PolicyMatch DecodeOperation(TreeReader operation) {
  PolicyMatch match;
  ReadPorts(ReadValues(operation, "ports"), match.ports);
  ReadPorts(ReadValues(operation, "notPorts"), match.not_ports);
  match.needs_http =
      ReadHttpOnly(operation, {"hosts", "notHosts", "methods", "notMethods", "paths", "notPaths"});
  FinishMatch(operation, match, "field that says which operations are meant");
  return match;
}

PolicyMatch DecodeCondition(TreeReader condition, std::string_view name_space) {
  PolicyMatch match;
  const std::string key = condition.String("key");
  const ConditionValues values{ReadValues(condition, "values"), ReadValues(condition, "notValues"),
                               name_space};
  if (values.values.texts.empty() && values.not_values.texts.empty()) {
    condition.Fail(condition.line(),
                   absl::StrCat(condition.path(), " has neither values nor notValues"));
  }
  if (!ReadL4Condition(key, values, match)) {
    match.needs_http = IsHttpKey(key);
    if (!match.needs_http)
      condition.Fail(condition.line(),
                     absl::StrCat(condition.path(), ".key is not a known attribute"));
  }
  condition.RefuseUnknown();
  return match;
}

}  // namespace heddle::controlplane::api
