#include "agent/model/match.h"

namespace heddle::agent {
namespace {

constexpr std::string_view kScheme = "spiffe://";

Tri ToTri(bool value) { return value ? Tri::kYes : Tri::kNo; }
Tri Not(Tri value) {
  return static_cast<Tri>(static_cast<uint8_t>(Tri::kYes) - static_cast<uint8_t>(value));
}

// One attribute type: any of the positive list (if there is one), none of the negative list. `has` says whether an
// entry holds.
template <typename Entry, typename Has>
Tri Attribute(const std::vector<Entry>& positive, const std::vector<Entry>& negative, Has has) {
  if (positive.empty() && negative.empty()) return Tri::kYes;
  const auto any = [&has](const std::vector<Entry>& entries) {
    Tri result = Tri::kNo;
    for (const Entry& entry : entries) {
      result = std::max(result, has(entry));
      if (result == Tri::kYes) break;
    }
    return result;
  };
  const Tri wanted = positive.empty() ? Tri::kYes : any(positive);
  if (wanted == Tri::kNo) return Tri::kNo;
  return std::min(wanted, Not(any(negative)));
}

Tri MatchIdentity(const Match& match, const IdentityText& identity) {
  Tri result = Attribute(
      match.principals, match.not_principals,
      [&identity](const StringMatch& entry) { return ToTri(entry.Matches(identity.principal)); });
  if (result == Tri::kNo) return result;
  result = Attribute(match.namespaces, match.not_namespaces, [&identity](const StringMatch& entry) {
    return ToTri(entry.Matches(identity.name_space));
  });
  if (result == Tri::kNo) return result;
  return Attribute(match.service_accounts, match.not_service_accounts,
                   [&identity](const ServiceAccountMatch& entry) {
                     return ToTri(entry.service_account == identity.service_account &&
                                  entry.name_space == identity.name_space);
                   });
}

Tri MatchOne(const Match& match, const Facts& facts) {
  Tri result = MatchIdentity(match, facts.identity);
  if (result == Tri::kNo || match.empty()) return Tri::kNo;
  const auto in = [](const std::optional<io::IpAddress>& address) {
    return [&address](const io::IpPrefix& entry) {
      return address.has_value() ? ToTri(entry.Contains(*address)) : Tri::kMaybe;
    };
  };
  result = std::min(result, Attribute(match.source_ips, match.not_source_ips, in(facts.source)));
  result = std::min(
      result, Attribute(match.destination_ips, match.not_destination_ips, in(facts.destination)));
  const auto is_port = [&facts](uint16_t entry) {
    return facts.destination_port.has_value() ? ToTri(entry == *facts.destination_port)
                                              : Tri::kMaybe;
  };
  return std::min(result, Attribute(match.destination_ports, match.not_destination_ports, is_port));
}

Tri MatchClause(const Clause& clause, const Facts& facts) {
  if (clause.matches.empty()) return Tri::kYes;
  Tri result = Tri::kNo;
  for (const Match& match : clause.matches) result = std::max(result, MatchOne(match, facts));
  return result;
}

}  // namespace

IdentityText::IdentityText(const tls::SpiffeId* id) {
  if (id == nullptr) return;
  principal = std::string_view(id->ToString()).substr(kScheme.size());
  name_space = id->name_space();
  service_account = id->service_account();
}

Tri Matches(const Rule& rule, const Facts& facts) {
  Tri result = Tri::kYes;
  for (const Clause& clause : rule.clauses) {
    result = std::min(result, MatchClause(clause, facts));
    if (result == Tri::kNo) break;
  }
  return result;
}

Tri Matches(const Policy& policy, const Facts& facts) {
  Tri result = Tri::kNo;
  for (const Rule& rule : policy.rules) {
    result = std::max(result, Matches(rule, facts));
    if (result == Tri::kYes) break;
  }
  return result;
}

}  // namespace heddle::agent
