#include "bench/load/crew.h"

#include <utility>

namespace heddle::bench {
namespace {

Task<void> Dismiss(std::unique_ptr<Member>& member) {
  co_await member->scope.Drain();
  member.reset();
}

}  // namespace

Crew::Crew(Clock& clock, io::Loop& home, size_t size, io::BackendChoice backend)
    : home_(home), members_(size), pool_(clock, size, "load", io::LoopOptions{.backend = backend}) {
  for (size_t i = 0; i < size; ++i)
    pool_.loop(i).Post([this, i] { members_[i] = std::make_unique<Member>(pool_.loop(i)); });
}

Crew::~Crew() {
  for (const auto& member : members_) CHECK(member == nullptr);
}

void Crew::Post(size_t index, absl::AnyInvocable<void(Member&)> work) {
  pool_.loop(index).Post(
      [this, index, work = std::move(work)]() mutable { work(*members_[index]); });
}

Task<void> Crew::Run(size_t index, absl::AnyInvocable<Task<void>(Member&)> factory) {
  absl::AnyInvocable<Task<void>()> start = [this, index, &factory] {
    return factory(*members_[index]);
  };
  co_await io::RunOn(home_, pool_.loop(index), std::move(start));
}

Task<void> Crew::RunAll(absl::AnyInvocable<Task<void>(Member&, size_t) const> factory) {
  Scope scope(home_);
  for (size_t i = 0; i < size(); ++i)
    scope.Spawn(Run(i, [i, &factory](Member& member) { return factory(member, i); }));
  co_await scope.Join();
}

Task<void> Crew::Disband() {
  for (size_t i = 0; i < size(); ++i) {
    absl::AnyInvocable<Task<void>()> dismiss = [this, i] { return Dismiss(members_[i]); };
    co_await io::RunOn(home_, pool_.loop(i), std::move(dismiss));
  }
}

}  // namespace heddle::bench
