#include "controlplane/callers/review_cache.h"

#include <utility>

namespace heddle::controlplane::callers {

const ReviewCache::Entry* ReviewCache::Table::Find(const std::string& digest) const {
  const auto found = by_digest.find(digest);
  return found == by_digest.end() ? nullptr : &*found->second;
}

void ReviewCache::Table::Erase(const std::string& digest) {
  const auto found = by_digest.find(digest);
  if (found == by_digest.end()) return;
  entries.erase(found->second);
  by_digest.erase(found);
}

void ReviewCache::Table::Add(Entry entry, size_t max) {
  Erase(entry.digest);
  if (entries.size() == max) {
    by_digest.erase(entries.front().digest);
    entries.pop_front();
  }
  std::string digest = entry.digest;
  entries.push_back(std::move(entry));
  by_digest.emplace(std::move(digest), std::prev(entries.end()));
}

std::optional<ReviewCache::Verdict> ReviewCache::Fresh(const std::string& digest,
                                                       MonotonicTime now) {
  if (const Entry* entry = admitted_.Find(digest);
      entry != nullptr && now < entry->expires && now - entry->reviewed < limits_.admitted_age_max)
    return entry->verdict;
  if (const Entry* entry = refused_.Find(digest);
      entry != nullptr && now - entry->reviewed < limits_.refused_age_max)
    return entry->verdict;
  return std::nullopt;
}

std::optional<ReviewCache::Verdict> ReviewCache::Stale(const std::string& digest,
                                                       MonotonicTime now) {
  const Entry* entry = admitted_.Find(digest);
  if (entry == nullptr || now >= entry->expires || now - entry->reviewed >= limits_.stale_age_max)
    return std::nullopt;
  return entry->verdict;
}

void ReviewCache::Put(const std::string& digest, const Verdict& verdict, MonotonicTime now,
                      absl::Duration left) {
  admitted_.Erase(digest);
  refused_.Erase(digest);
  Entry entry{.digest = digest, .verdict = verdict, .reviewed = now, .expires = now + left};
  if (verdict.has_value()) {
    admitted_.Add(std::move(entry), limits_.admitted_max);
  } else {
    refused_.Add(std::move(entry), limits_.refused_max);
  }
}

}  // namespace heddle::controlplane::callers
